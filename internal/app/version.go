package app

import "runtime/debug"

// version is set by the linker (-X); a build from a module has its version in the build info.
var version string

// Version is the version of this build, such as v0.1.0, or "dev".
func Version() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
		return info.Main.Version
	}
	return "dev"
}
