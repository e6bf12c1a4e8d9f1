package demo

import (
	"strings"

	"github.com/lockstep-cvm/lockstep/api"
	"github.com/lockstep-cvm/lockstep/examples"
)

// versionTwo is what both CVMs are updated to first.
func versionTwo() string { return examples.ComposeV2 }

// versionThree has another web server.
func versionThree() string {
	return strings.Replace(examples.ComposeV2, "nginx:1.29.0", "nginx:1.29.1", 1)
}

// versionFour has yet another one.
func versionFour() string {
	return strings.Replace(examples.ComposeV2, "nginx:1.29.0", "nginx:1.29.2", 1)
}

// guestWords is what the guest of the bad version says when it cannot boot.
const guestWords = "pull access denied for busybox, repository does not exist"

// badCompose is a version that is good Compose and does not boot: the label tells the simulated node so.
func badCompose() string {
	const image = "image: busybox:1.37.0\n"
	return strings.Replace(examples.ComposeV2, image, image+"    labels:\n      lockstep.sim.boot-error: "+guestWords+"\n", 1)
}

// brokenYAML ends in the middle of a list.
const brokenYAML = "services:\n  web:\n    image: nginx:1.29.0\n    ports: [\"8080:80\"\n"

// tooLarge is good Compose of one byte more than is taken.
func tooLarge() string {
	const begin = "services: {web: {image: nginx}}\n#"
	return begin + strings.Repeat("x", api.MaxComposeSize+1-len(begin))
}
