// Package compat runs the clients that people have against a real Lockstep server: the official
// @phala/cloud SDK and phala command line, unmodified, and our own Go SDK. A server that drifts from
// what they understand fails here first.
//
// It has tests only; see README.md.
package compat
