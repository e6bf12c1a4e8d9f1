package api

// ReplicateRequest is the body of POST /cvms/{id}/replicas. Everything may be left out.
type ReplicateRequest struct {
	// TeepodID and NodeID name the node, by the same number; without either it is the source's.
	TeepodID *int64 `json:"teepod_id,omitempty"`
	NodeID   *int64 `json:"node_id,omitempty"`
	// EncryptedEnv is hex; without it the replica has the environment of its source.
	EncryptedEnv *string `json:"encrypted_env,omitempty"`
	// ComposeHash names the document when the source is an app whose CVMs run different ones.
	ComposeHash *string `json:"compose_hash,omitempty"`
}
