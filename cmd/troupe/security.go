package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/pflag"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"
)

// tlsFlags say whether and how to speak TLS.
type tlsFlags struct {
	on, insecure  bool
	ca, cert, key string

	caPEM, certPEM, keyPEM string // PEM texts of properties, in place of files
	anyName                bool   // a certificate of a known authority may be for another name
	without12, without13   bool   // TLS versions left out
}

func (t *tlsFlags) register(f *pflag.FlagSet) {
	f.BoolVar(&t.on, "tls", false, "speak TLS")
	f.StringVar(&t.ca, "tls-ca", "", "trust the authorities in this PEM `FILE` (implies --tls)")
	f.StringVar(&t.cert, "tls-cert", "", "show this client certificate, a PEM `FILE` (implies --tls)")
	f.StringVar(&t.key, "tls-key", "", "private key of --tls-cert, a PEM `FILE`")
	f.BoolVar(&t.insecure, "tls-skip-verify", false, "believe any certificate (implies --tls)")
}

func (t *tlsFlags) wanted() bool {
	return t.on || t.insecure || t.ca+t.caPEM != "" || t.cert+t.certPEM != ""
}

// dialer returns the function that opens a connection, TLS included.
func (t *tlsFlags) dialer(timeout time.Duration) (func(ctx context.Context, network, addr string) (net.Conn, error), error) {
	d := &net.Dialer{Timeout: timeout}
	if !t.wanted() {
		return d.DialContext, nil
	}
	cfg, err := t.config()
	if err != nil {
		return nil, err
	}
	secure := &tls.Dialer{NetDialer: d, Config: cfg}
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := secure.DialContext(ctx, network, addr)
		if errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) {
			err = fmt.Errorf("%w: %w", errNoTLS, err)
		}
		return conn, err
	}, nil
}

// errNoTLS is in the error of a TLS handshake that the other side ended without a word.
var errNoTLS = errors.New("the other side hung up on a TLS handshake")

func (t *tlsFlags) config() (*tls.Config, error) {
	cfg := &tls.Config{InsecureSkipVerify: t.insecure, MinVersion: tls.VersionTLS12}
	if t.without12 {
		cfg.MinVersion = tls.VersionTLS13
	}
	if t.without13 {
		cfg.MaxVersion = tls.VersionTLS12
	}
	if t.ca+t.caPEM != "" {
		pem, err := textOf(t.ca, t.caPEM)
		if err != nil {
			return nil, usage("--tls-ca FILE", "%v", err)
		}
		cfg.RootCAs = x509.NewCertPool()
		if !cfg.RootCAs.AppendCertsFromPEM(pem) {
			return nil, usage("a PEM file of certificates; of a Java key store: keytool -list -rfc -keystore FILE", "no certificate in %s", orThere(t.ca))
		}
	}
	if t.cert+t.certPEM != "" {
		pair, err := t.pair()
		if err != nil {
			return nil, usage("--tls-cert FILE --tls-key FILE", "%v", err)
		}
		cfg.Certificates = []tls.Certificate{pair}
	}
	if t.anyName && !t.insecure {
		cfg.InsecureSkipVerify, cfg.VerifyConnection = true, knownAuthority(cfg.RootCAs)
	}
	return cfg, nil
}

// pair is the client's certificate with its key.
func (t *tlsFlags) pair() (tls.Certificate, error) {
	cert, err := textOf(t.cert, t.certPEM)
	if err != nil {
		return tls.Certificate{}, err
	}
	key, err := textOf(t.key, t.keyPEM)
	if err != nil {
		return tls.Certificate{}, err
	}
	return tls.X509KeyPair(cert, key)
}

// textOf is the text in a file, or text if no file is named.
func textOf(file, text string) ([]byte, error) {
	if file == "" {
		return []byte(text), nil
	}
	return os.ReadFile(file)
}

// knownAuthority checks a certificate but for its name: what an empty ssl.endpoint.identification.algorithm asks for.
func knownAuthority(roots *x509.CertPool) func(tls.ConnectionState) error {
	return func(s tls.ConnectionState) error {
		opts := x509.VerifyOptions{Roots: roots, Intermediates: x509.NewCertPool()}
		for _, c := range s.PeerCertificates[1:] {
			opts.Intermediates.AddCert(c)
		}
		_, err := s.PeerCertificates[0].Verify(opts)
		return err
	}
}

// saslFlags say who the client is.
type saslFlags struct{ name, user, password, file string }

func (s *saslFlags) register(f *pflag.FlagSet) {
	f.StringVar(&s.user, "user", "", "authenticate as this user")
	f.StringVar(&s.password, "password", "", "password of --user (default $TROUPE_PASSWORD, which other users cannot see)")
	f.StringVar(&s.file, "password-file", "", "read the password of --user from the first line of this `FILE`")
	f.StringVar(&s.name, "sasl-mechanism", "SCRAM-SHA-256", "PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512")
}

// mechanism is how to authenticate; nil without a user. A password that nothing gives is asked for where somebody can type it.
func (a *app) mechanism() (sasl.Mechanism, error) {
	if err := a.askPassword(); err != nil {
		return nil, err
	}
	return a.sasl.mechanism(a.getenv)
}

func (a *app) askPassword() error {
	if a.sasl.user == "" || a.sasl.password != "" || a.sasl.file != "" || a.getenv("TROUPE_PASSWORD") != "" || a.cmd != nil && a.cmd.Flags().Changed("password") {
		return nil
	}
	in, ok := a.terminalInput()
	if !ok || a.completing {
		return usage("--password-file FILE, or $TROUPE_PASSWORD", "no password for user %q, and no terminal to ask on", a.sasl.user)
	}
	var err error
	a.sasl.password, err = a.typed(in, "Password of "+a.sasl.user+": ")
	return err
}

// mechanism is how to authenticate; nil without --user.
func (s *saslFlags) mechanism(getenv func(string) string) (sasl.Mechanism, error) {
	if s.user == "" {
		return nil, nil
	}
	password := s.password
	if password == "" && s.file != "" {
		var err error
		if password, err = passwordFile(s.file); err != nil {
			return nil, err
		}
	}
	if password == "" {
		password = getenv("TROUPE_PASSWORD")
	}
	switch strings.ToUpper(s.name) {
	case "PLAIN":
		return plain.Auth{User: s.user, Pass: password}.AsMechanism(), nil
	case "SCRAM-SHA-256":
		return scram.Auth{User: s.user, Pass: password}.AsSha256Mechanism(), nil
	case "SCRAM-SHA-512":
		return scram.Auth{User: s.user, Pass: password}.AsSha512Mechanism(), nil
	}
	return nil, usage("--sasl-mechanism PLAIN|SCRAM-SHA-256|SCRAM-SHA-512", "no SASL mechanism %q", s.name)
}
