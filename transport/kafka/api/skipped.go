package api

// skipped says of every request that Apache Kafka 4.4.0 knows and we do not serve why that is so. Keys 4-7 have no valid version
// since 4.0. A key is either here or in the table: TestEveryKeyIsServedOrSkipped.
var skipped = map[int16]string{
	76: needsShare, // ShareGroupHeartbeat
	77: needsShare, // ShareGroupDescribe
	78: needsShare, // ShareFetch
	79: needsShare, // ShareAcknowledge
	88: needsShare, // StreamsGroupHeartbeat
	89: needsShare, // StreamsGroupDescribe
	90: needsShare, // DescribeShareGroupOffsets
	91: needsShare, // AlterShareGroupOffsets
	92: needsShare, // DeleteShareGroupOffsets

	38: needsTokens, // CreateDelegationToken
	39: needsTokens, // RenewDelegationToken
	40: needsTokens, // ExpireDelegationToken
	41: needsTokens, // DescribeDelegationToken

	34: needsReplication, // AlterReplicaLogDirs
	45: needsReplication, // AlterPartitionReassignments
	57: needsReplication, // UpdateFeatures
	64: needsReplication, // UnregisterBroker
	80: needsReplication, // AddRaftVoter
	81: needsReplication, // RemoveRaftVoter

	71: "no receiver of client metrics: advertising it would make every modern client push (KIP-714)", // GetTelemetrySubscriptions
	72: "no receiver of client metrics: advertising it would make every modern client push (KIP-714)", // PushTelemetry

	52: kraftInternal, // Vote
	53: kraftInternal, // BeginQuorumEpoch
	54: kraftInternal, // EndQuorumEpoch
	56: kraftInternal, // AlterPartition
	58: kraftInternal, // Envelope
	59: kraftInternal, // FetchSnapshot
	62: kraftInternal, // BrokerRegistration
	63: kraftInternal, // BrokerHeartbeat
	67: kraftInternal, // AllocateProducerIds
	70: kraftInternal, // ControllerRegistration
	73: kraftInternal, // AssignReplicasToDirs
	82: kraftInternal, // UpdateRaftVoter
	83: kraftInternal, // InitializeShareGroupState
	84: kraftInternal, // ReadShareGroupState
	85: kraftInternal, // WriteShareGroupState
	86: kraftInternal, // DeleteShareGroupState
	87: kraftInternal, // ReadShareGroupStateSummary
}

const (
	needsShare       = "share and streams groups are not built yet"
	needsTokens      = "there are no delegation tokens (KIP-48); users log in with SCRAM"
	needsReplication = "replication between nodes is not built yet"
	kraftInternal    = "between Kafka's own brokers and controllers; ours speak their own protocol"
)
