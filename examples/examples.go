// Package examples has the Compose files that `lockstep dev` and `lockstep demo` start from, as files to
// copy and as strings.
package examples

import _ "embed"

// ComposeV1 is the first version of the demo app: a web server and its cache.
//
//go:embed docker-compose.v1.yml
var ComposeV1 string

// ComposeV2 is the second version: another image for the web server, and a worker.
//
//go:embed docker-compose.v2.yml
var ComposeV2 string

// ComposeEngine is an app that several CVMs of one Docker Engine can run at once.
//
//go:embed docker-compose.engine.yml
var ComposeEngine string
