package appcompose_test

import (
	"context"
	"fmt"
	"log"

	"github.com/lockstep-cvm/lockstep/appcompose"
)

// An update: check the new Compose text, splice it into the document that
// runs, and show what the owner is asked to approve.
func Example() {
	running, err := appcompose.New(appcompose.Spec{
		Name:              "shop",
		DockerComposeFile: "services:\n  web:\n    image: nginx:1.27\n",
	})
	if err != nil {
		log.Fatal(err)
	}
	text := "services:\n  web:\n    image: nginx:1.28\n"
	if err := appcompose.CheckCompose(context.Background(), []byte(text), appcompose.CheckOptions{}); err != nil {
		log.Fatal(err)
	}
	candidate, err := running.Edit(appcompose.SetDockerComposeFile(text))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Print(appcompose.Diff(running, candidate))
	// Output:
	// ~ service web image nginx:1.27 -> nginx:1.28
	// ~ docker_compose_file
	// compose hash 594d049295c723c90a48b45a8aaab50572b039c81e6391b6433403b93275ce36 -> eba1e14897953c51bccd2ea3b7de323304918e5f6ee47d853b734bbf9eaadab1
}

// A mistake is reported with its line before anything is hashed or approved.
func ExampleCheckCompose() {
	text := "services:\n  web:\n    image: nginx\n    depends_on:\n      - db\n"
	err := appcompose.CheckCompose(context.Background(), []byte(text), appcompose.CheckOptions{})
	fmt.Println(err)
	// Output:
	// line 5: services.web.depends_on: service "web" refers to undefined service "db"
}
