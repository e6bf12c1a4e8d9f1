package appcompose

// The getters below return what a guest makes of the document, with the
// defaults of dstack's AppCompose type for fields that are absent. Those are
// not the defaults that a control plane writes into a new document; see [Spec].

// Values of the field "runner".
const (
	RunnerDockerCompose  = "docker-compose"
	RunnerNerdctlCompose = "nerdctl-compose"
	RunnerBash           = "bash"
)

// Values of the field "key_provider".
const (
	KeyProviderNone  = "none"
	KeyProviderKMS   = "kms"
	KeyProviderLocal = "local"
	KeyProviderTPM   = "tpm"
)

// Values of the field "storage_fs".
const (
	StorageFSZFS  = "zfs"
	StorageFSExt4 = "ext4"
)

// Name returns the application's name.
func (d *Document) Name() string { return d.str("name", "") }

// Runner returns what runs the application: docker-compose, nerdctl-compose or bash.
func (d *Document) Runner() string { return d.str("runner", "") }

// DockerComposeFile returns the Compose text, or "" when there is none.
func (d *Document) DockerComposeFile() string { return d.str("docker_compose_file", "") }

// BashScript returns the script of the runner bash.
func (d *Document) BashScript() string { return d.str("bash_script", "") }

// PreLaunchScript returns the script sourced before the services start, or "".
func (d *Document) PreLaunchScript() string { return d.str("pre_launch_script", "") }

// InitScripts returns the scripts sourced before the container engine starts.
func (d *Document) InitScripts() []string { return d.list("init_script") }

// AllowedEnvs returns the names of the encrypted variables that the guest lets
// through, in the document's order.
func (d *Document) AllowedEnvs() []string { return d.list("allowed_envs") }

// Features returns the deprecated feature list.
func (d *Document) Features() []string { return d.list("features") }

// PublicLogs reports whether container logs are served without
// authentication; false when absent.
func (d *Document) PublicLogs() bool { return d.flag("public_logs", false) }

// PublicSysinfo reports whether system figures are served; false when absent.
func (d *Document) PublicSysinfo() bool { return d.flag("public_sysinfo", false) }

// PublicTcbinfo reports whether the TCB information is served; true when absent.
func (d *Document) PublicTcbinfo() bool { return d.flag("public_tcbinfo", true) }

// GatewayEnabled reports whether the gateway routes to the CVM: by
// gateway_enabled, its former name tproxy_enabled, or the feature "tproxy-net".
func (d *Document) GatewayEnabled() bool {
	if d.flag("gateway_enabled", false) || d.flag("tproxy_enabled", false) {
		return true
	}
	for _, f := range d.Features() {
		if f == "tproxy-net" {
			return true
		}
	}
	return false
}

// KmsEnabled reports whether keys come from a KMS, by key_provider or the
// legacy kms_enabled.
func (d *Document) KmsEnabled() bool { return d.KeyProvider() == KeyProviderKMS }

// KeyProvider returns where the guest gets its keys from. key_provider wins
// over kms_enabled, which wins over local_key_provider_enabled; "none" when
// all are absent.
func (d *Document) KeyProvider() string {
	switch {
	case d.node("key_provider") != nil:
		return d.str("key_provider", KeyProviderNone)
	case d.flag("kms_enabled", false):
		return KeyProviderKMS
	case d.flag("local_key_provider_enabled", false):
		return KeyProviderLocal
	default:
		return KeyProviderNone
	}
}

// KeyProviderID returns the hex pin of the key provider, or "".
func (d *Document) KeyProviderID() string { return d.str("key_provider_id", "") }

// StorageFS returns zfs or ext4; the image's default, zfs, when absent.
func (d *Document) StorageFS() string { return d.str("storage_fs", StorageFSZFS) }

// SecureTime reports whether the guest waits for its clock to be in step
// before it asks for keys; true when absent.
func (d *Document) SecureTime() bool { return d.flag("secure_time", true) }

// NoInstanceID reports whether the instances of the app share one identity;
// false when absent.
func (d *Document) NoInstanceID() bool { return d.flag("no_instance_id", false) }
