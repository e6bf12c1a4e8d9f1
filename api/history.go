package api

// HistoryEntry is one entry of the history of an app, which Lockstep servers offer beyond the hosted API.
// Package history says which bytes are hashed, and checks them.
type HistoryEntry struct {
	// Seq counts the entries of the app from 1, without a gap.
	Seq uint64 `json:"seq"`
	// Time is RFC 3339 in UTC with six digits of a second.
	Time string `json:"time"`
	// Kind is what was recorded; see the constants of package history.
	Kind string `json:"kind"`
	// Actor is the id of the API key that asked for it, or lockstep for what the server did by itself.
	Actor string `json:"actor"`
	// CVM is the vm_uuid of the CVM it is about; empty for what concerns the whole app.
	CVM string `json:"cvm"`
	// Operation is the id of the update or rollout it is about; may be empty.
	Operation string `json:"operation"`
	// Facts are what else there is to know, by name.
	Facts map[string]string `json:"facts"`
	// PrevHash is the hash of the entry before, 64 hex digits; zeros for the first.
	PrevHash string `json:"prev_hash"`
	// Hash is the SHA-256 of this entry, 64 hex digits.
	Hash string `json:"hash"`
}

// HistoryHead names the newest entry of a history. Who remembers one can tell later whether something
// before it was removed, changed or reordered.
type HistoryHead struct {
	Seq  uint64 `json:"seq"`  // 0: there is none yet
	Hash string `json:"hash"` // zeros when Seq is 0
}

// History is the answer of GET /apps/{app_id}/history, oldest entry first.
type History struct {
	AppID string `json:"app_id"`
	// Public tells whether it is served without an API key.
	Public  bool               `json:"public"`
	Head    HistoryHead        `json:"head"`
	Entries List[HistoryEntry] `json:"entries"`
	// NextAfter is the value of the query parameter after for the next page; null on the last one.
	NextAfter *uint64 `json:"next_after"`
}

// HistorySettings is the body of PATCH /apps/{app_id}/history.
type HistorySettings struct {
	Public *bool `json:"public"`
}
