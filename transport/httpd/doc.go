// Package httpd is a node's HTTP listener: health, metrics and the insides, for operators and their machines.
//
//	GET /livez          200 while the process answers at all; a supervisor restarts the process when it does not
//	GET /readyz         200 while every condition holds, 503 otherwise; ?verbose lists the conditions by name
//	GET /startupz       200 once the node was ready for the first time
//	GET /metrics        Prometheus: troupe_..., and what its libraries tell of the process (go_, process_). Of what clients choose only
//	                    names of topics and groups are label values, in at most lagRowsMax rows and topicRowsMax topics;
//	                    ?partitions=true shows partitions one by one
//	GET /debug/node     what the node is and does, as JSON
//	/debug/log-level    from which level on the node logs; PUT and DELETE change it until it ends
//	GET /debug/pprof/   Go's profiles
//
// It decides nothing about the node: what is ready and what is counted is handed in as functions, which are called when somebody asks
// and never otherwise, so an idle node spends nothing here. There is no authentication: health and metrics are for whoever reaches the
// port, which by default only this machine does; /debug is for this machine in any case: not for pages
// that a browser on it shows, nor for what a proxy on it passes on.
package httpd
