package store

import "github.com/lockstep-cvm/lockstep/internal/store/internal/db"

// CVMOfApp is what a CVM of an app is found by.
type CVMOfApp = db.ListCVMsOfAppsRow
