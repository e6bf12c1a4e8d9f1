package appcompose

// MaxComposeSize is the limit in bytes on the Compose text and the pre-launch
// script together. The official clients check it before they send.
const MaxComposeSize = 200 * 1024

// CheckComposeSize returns a [SizeError] when the Compose text and the
// pre-launch script together are longer than [MaxComposeSize].
func CheckComposeSize(compose, preLaunchScript string) error {
	return checkComposeSize(len(compose), len(preLaunchScript))
}

func checkComposeSize(compose, script int) error {
	if compose+script <= MaxComposeSize {
		return nil
	}
	field := "docker_compose_file"
	if script > 0 {
		field = "docker_compose_file and pre_launch_script together"
	}
	return &SizeError{Field: field, Seen: compose + script, Limit: MaxComposeSize}
}
