// Package assignor computes who of a consumer group shall read which partitions: the server-side assignors "uniform" and "range".
package assignor
