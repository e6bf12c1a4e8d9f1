package store

import "github.com/lockstep-cvm/lockstep/internal/store/internal/db"

// Document is an app-compose document by the hash of its bytes.
type Document = db.Document
