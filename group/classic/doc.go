// Package classic is the rules of one classic consumer group: JoinGroup, SyncGroup, Heartbeat, LeaveGroup.
package classic
