// Package onchain is the chain's side of an update: it lets an app's owner
// approve a compose hash on the app's contract, and lets a server verify that
// this happened.
//
// The app id is the address of the app's contract (DstackApp). The owner's key
// never leaves the caller: the functions that send transactions take a key or
// a Signer and check owner, chain and balance before they spend anything.
// Function names follow the actions of the JavaScript client, and so do their
// defaults.
//
// Errors say who is to blame. errors.Is(err, ErrRPC) means that the question
// was not answered and may be asked again; every other sentinel is the chain's
// or the contract's answer.
package onchain
