package main

import (
	"fmt"
	"strings"
)

// login is what a sasl.jaas.config says.
type login struct {
	module string // class name without its package
	user   string
	secret string
}

// parseJaas reads one login module as the Java client takes it:
//
//	org.apache.kafka.common.security.scram.ScramLoginModule required username="alice" password="secret";
//
// Other modules than those of PLAIN and SCRAM, and options that change how a login goes, are errors.
//
// Source: JaasConfig.
func parseJaas(text string) (login, error) {
	words, err := jaasWords(text)
	if err != nil {
		return login{}, err
	}
	if len(words) < 2 || words[len(words)-1] != ";" {
		return login{}, fmt.Errorf("it has no login module that ends in a semicolon")
	}
	class := words[0]
	out := login{module: class[strings.LastIndexByte(class, '.')+1:]}
	if out.module != "PlainLoginModule" && out.module != "ScramLoginModule" {
		return login{}, fmt.Errorf("%s cannot be honoured: only PlainLoginModule and ScramLoginModule can", out.module)
	}
	options := words[2 : len(words)-1]
	for i := 0; i < len(options); i += 3 {
		if i+2 >= len(options) || options[i+1] != "=" {
			return login{}, fmt.Errorf("after %s it is not KEY=\"VALUE\"", words[1])
		}
		switch key, value := options[i], options[i+2]; key {
		case "username":
			out.user = value
		case "password":
			out.secret = value
		default:
			return login{}, fmt.Errorf("its option %s cannot be honoured", key)
		}
	}
	if out.user == "" {
		return login{}, fmt.Errorf("it has no username")
	}
	return out, nil
}

// jaasWords splits at white space, = and ;, which are words of their own outside double quotes. A backslash escapes within quotes.
func jaasWords(text string) (words []string, err error) {
	var word strings.Builder
	started := false
	end := func() {
		if started {
			words = append(words, word.String())
		}
		word.Reset()
		started = false
	}
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '"':
			started = true
			for i++; i < len(text) && text[i] != '"'; i++ {
				if text[i] == '\\' && i+1 < len(text) {
					i++
				}
				word.WriteByte(text[i])
			}
			if i == len(text) {
				return nil, fmt.Errorf("a quote is not closed")
			}
		case c == '=' || c == ';':
			end()
			words = append(words, string(c))
		case strings.IndexByte(" \t\r\n", c) >= 0:
			end()
		default:
			started = true
			word.WriteByte(c)
		}
	}
	end()
	return words, nil
}
