package api

import "encoding/json"

// ObjectType is the literal member object_type of a reference. Each reference sends its own.
type ObjectType string

// The object types of references.
const (
	ObjectNode      ObjectType = "node"
	ObjectWorkspace ObjectType = "workspace"
	ObjectUser      ObjectType = "user"
	ObjectCVM       ObjectType = "cvm"
)

// NodeRef names a node inside another object (schema CvmNodeInfoV20260121). It sends object_type
// "node" by itself.
type NodeRef struct {
	ID       *int64  `json:"id"`
	Name     *string `json:"name"`
	Region   *string `json:"region"`
	DeviceID *string `json:"device_id"`
	PPID     *string `json:"ppid"`
	// Status is ONLINE, OFFLINE or MAINTENANCE.
	Status  *string `json:"status"`
	Version *string `json:"version"`
}

// MarshalJSON implements [json.Marshaler]: it adds object_type.
func (r NodeRef) MarshalJSON() ([]byte, error) {
	type plain NodeRef
	return json.Marshal(struct {
		ObjectType ObjectType `json:"object_type"`
		plain
	}{ObjectNode, plain(r)})
}

// WorkspaceRef names a workspace inside another object (schema WorkspaceRef). It sends object_type
// "workspace" by itself.
type WorkspaceRef struct {
	ID        string  `json:"id"`
	Name      string  `json:"name"`
	Slug      *string `json:"slug"`
	AvatarURL *string `json:"avatar_url"`
}

// MarshalJSON implements [json.Marshaler]: it adds object_type.
func (r WorkspaceRef) MarshalJSON() ([]byte, error) {
	type plain WorkspaceRef
	return json.Marshal(struct {
		ObjectType ObjectType `json:"object_type"`
		plain
	}{ObjectWorkspace, plain(r)})
}

// UserRef names a user inside another object (schema UserRef). It sends object_type "user" by
// itself.
type UserRef struct {
	ID        *string `json:"id"`
	Username  *string `json:"username"`
	AvatarURL *string `json:"avatar_url"`
}

// MarshalJSON implements [json.Marshaler]: it adds object_type.
func (r UserRef) MarshalJSON() ([]byte, error) {
	type plain UserRef
	return json.Marshal(struct {
		ObjectType ObjectType `json:"object_type"`
		plain
	}{ObjectUser, plain(r)})
}

// CVMRef names a CVM inside another object (schema CvmRef). It sends object_type "cvm" by itself.
type CVMRef struct {
	ID     *string `json:"id"` // cvm_…
	Name   *string `json:"name"`
	AppID  *string `json:"app_id"`
	VMUUID *string `json:"vm_uuid"`
}

// MarshalJSON implements [json.Marshaler]: it adds object_type.
func (r CVMRef) MarshalJSON() ([]byte, error) {
	type plain CVMRef
	return json.Marshal(struct {
		ObjectType ObjectType `json:"object_type"`
		plain
	}{ObjectCVM, plain(r)})
}
