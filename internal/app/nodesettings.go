package app

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/go-viper/mapstructure/v2"
	yamlv4 "go.yaml.in/yaml/v4"

	"github.com/lockstep-cvm/lockstep/internal/control"
	"github.com/lockstep-cvm/lockstep/internal/store"
)

// rowSettings are the settings of a node that have columns of their own.
var rowSettings = []string{"id", "name", "driver"}

// secretSettings are settings that a database, its copies and its readers must not have.
var secretSettings = map[string]bool{"token": true, "password": true}

// parseNode reads the settings of one node, in YAML or JSON and in the form of an entry of nodes in the
// configuration file, and gives them as they are kept in the database.
func parseNode(text []byte) (NodeConfig, control.NewNode, error) {
	var settings map[string]any
	if err := yamlv4.Unmarshal(text, &settings); err != nil {
		return NodeConfig{}, control.NewNode{}, fmt.Errorf("node: want one entry of the list nodes, in YAML or JSON: %w", err)
	}
	c, err := decodeNode(settings)
	if err != nil {
		return NodeConfig{}, control.NewNode{}, err
	}
	if at := secretIn("", settings); at != "" {
		return NodeConfig{}, control.NewNode{}, fmt.Errorf("node: %s is a secret, which is not kept in the database: put it into a file that the servers can read, and give its path as %s_file", at, at)
	}
	for _, name := range rowSettings {
		delete(settings, name)
	}
	kept, err := json.Marshal(settings)
	if err != nil {
		return NodeConfig{}, control.NewNode{}, fmt.Errorf("node: settings: %w", err)
	}
	return c, control.NewNode{ID: c.ID, Name: c.Name, Driver: c.Driver, Settings: string(kept)}, nil
}

// nodeOfRow reads the settings of a row.
func nodeOfRow(row store.Node) (NodeConfig, error) {
	settings := map[string]any{}
	if err := json.Unmarshal([]byte(row.Settings), &settings); err != nil {
		return NodeConfig{}, fmt.Errorf("settings in the database: %w", err)
	}
	settings["id"], settings["name"], settings["driver"] = row.ID, row.Name, row.Driver
	return decodeNode(settings)
}

func decodeNode(settings map[string]any) (NodeConfig, error) {
	if len(settings) == 0 {
		return NodeConfig{}, errors.New("node: no settings, want those of one node")
	}
	if err := checkNames("node.", settings, reflect.TypeFor[NodeConfig]()); err != nil {
		return NodeConfig{}, err
	}
	var c NodeConfig
	decode, err := mapstructure.NewDecoder(decoder(&c))
	if err != nil {
		return NodeConfig{}, err
	}
	if err := decode.Decode(settings); err != nil {
		return NodeConfig{}, fmt.Errorf("node: %w", err)
	}
	return c, nil
}

// secretIn is the path of a secret in settings, or nothing.
func secretIn(at string, settings map[string]any) string {
	for name, value := range settings {
		if secretSettings[strings.ToLower(name)] {
			return at + name
		}
		if inner, ok := value.(map[string]any); ok {
			if found := secretIn(at+name+".", inner); found != "" {
				return found
			}
		}
	}
	return ""
}
