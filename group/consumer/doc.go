// Package consumer is the rules of one group of the consumer protocol (KIP-848).
package consumer
