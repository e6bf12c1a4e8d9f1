// Package appcompose builds, edits, checks, compares and hashes the
// app-compose document, the JSON file that says what a CVM runs and whose
// SHA-256 the owner approves on chain.
//
// The one rule behind the package: the bytes are the document. A guest hashes
// the file as it is given, with its white space, key order and final newline,
// so nothing here decodes a document and writes it out again. [Parse] keeps
// the bytes, [Document.Edit] cuts single fields out of them and splices new
// ones in, and [Hash] reads them as they are. [Canonical] exists for the one
// case where bytes must be chosen: a new document ([New]), and the comparison
// with tools that hash a re-encoded object.
//
// [CheckCompose] reads the Docker Compose text inside a document to find
// mistakes before a boot does. What it reads is never what is hashed.
package appcompose
