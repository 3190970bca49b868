package cluster

import (
	"fmt"

	"github.com/troupe-broker/troupe/actors/codec"
	"github.com/troupe-broker/troupe/cluster/controller"
	"github.com/troupe-broker/troupe/cluster/image"
)

// MetadataDir is the directory of the metadata log in its log directory.
const MetadataDir = metadataDir

// DecodeProposal reads the records that a proposal in the metadata log makes, for tools. Errors mean damage, or a newer release.
func DecodeProposal(data []byte) ([]image.Record, error) {
	if len(data) < entryHead {
		return nil, fmt.Errorf("metadata entry of %d bytes: %w", len(data), codec.ErrMalformed)
	}
	return controller.DecodeRecords(data[entryHead:])
}

// DecodeState reads the records of a snapshot of the metadata, for tools. A group that was just founded has none.
func DecodeState(data []byte) ([]image.Record, error) {
	if len(data) == 0 {
		return nil, nil
	}
	return controller.DecodeRecords(data)
}
