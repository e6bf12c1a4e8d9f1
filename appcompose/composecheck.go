package appcompose

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/types"
	"go.yaml.in/yaml/v4"
)

// CheckOptions say what belongs to the Compose text being checked.
type CheckOptions struct {
	// PreLaunchScript counts towards [MaxComposeSize] together with the text.
	PreLaunchScript string
}

// CheckCompose reports the first mistake found in a Docker Compose text that
// would stop docker compose on a guest: bad YAML, a field the Compose
// specification does not know or of the wrong type, and references to
// services, networks, volumes, secrets or configs that are not there.
//
// It touches neither files, environment nor network: include, env_file and
// extends from another file are taken as given. A variable without a default
// makes the value that holds it unknowable, and such values are not judged.
// Services of all profiles are checked.
//
// Mistakes are returned as [ComposeError], excess size as [SizeError] and the
// end of ctx as its error. The first call in a process compiles the Compose
// schema, which takes tens of milliseconds; see [WarmUp].
func CheckCompose(ctx context.Context, text []byte, opts CheckOptions) error {
	if err := checkComposeSize(len(text), len(opts.PreLaunchScript)); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	root, err := readCompose(text)
	if err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	err = lint(ctx, root)
	var ce *ComposeError
	if err == nil || errors.As(err, &ce) || ctx.Err() != nil {
		return err
	}
	return explain(root, err)
}

// WarmUp compiles what the first call of [CheckCompose] would compile, so that
// a server does it before its first request.
func WarmUp() error {
	return CheckCompose(context.Background(), []byte("services:\n  a:\n    image: a\n"), CheckOptions{})
}

// composeFilename is what compose-go calls the text in its messages.
const composeFilename = "docker-compose.yaml"

// lint runs compose-go over the text.
func lint(ctx context.Context, root *yaml.Node) (err error) {
	m := composeModel{}
	defer func() {
		// compose-go asserts types that its schema has not settled, so that odd
		// input can make it panic.
		if r := recover(); r != nil {
			err = fmt.Errorf("docker compose cannot read this file (%v)", r)
			if m.variables {
				err = nil
			}
		}
	}()
	if err := root.Decode(&m.dict); err != nil {
		return yamlError(err)
	}
	if err := m.prepare(root); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	details := types.ConfigDetails{
		WorkingDir:  "/",
		ConfigFiles: []types.ConfigFile{{Filename: composeFilename, Config: m.dict}},
		Environment: types.Mapping{},
	}
	opts := loader.ToOptions(&details, []func(*loader.Options){lintOptions})
	opts.SkipInterpolation = m.variables // then short forms need not parse
	dict, err := loader.LoadModelWithContext(ctx, details, func(o *loader.Options) { *o = *opts })
	if err != nil {
		return m.judge(root, err)
	}
	if m.include {
		return nil // names may be defined in the files included
	}
	deps, err := checkReferences(dict, m.partial)
	if err != nil {
		return err
	}
	opts.SkipConsistencyCheck = deps.tangled()
	if err := ctx.Err(); err != nil {
		return err
	}
	declareDefaultNetwork(dict)
	_, err = loader.ModelToProject(dict, opts, details)
	return m.judge(root, err)
}

func lintOptions(o *loader.Options) {
	o.Interpolate = nil // done by composeModel, which keeps variables
	o.SkipDefaultValues = true
	o.SkipNormalization = true
	o.SkipInclude = true
	o.SkipResolveEnvironment = true
	o.SkipResolveLabels = true
	o.ResolvePaths = false
	o.Profiles = []string{"*"}
	o.SetProjectName("app", true)
}

// declareDefaultNetwork adds the network that exists without being declared.
func declareDefaultNetwork(dict map[string]any) {
	networks, ok := dict["networks"].(map[string]any)
	if !ok {
		networks = map[string]any{}
		dict["networks"] = networks
	}
	if _, ok := networks["default"]; !ok {
		networks["default"] = nil
	}
}

// composeModel is a Compose text as maps, on its way into compose-go.
type composeModel struct {
	dict map[string]any
	// partial names the services that another file completes.
	partial map[string]bool
	// include is true when other files add to the model.
	include bool
	// variables is true when some value holds a variable without a default.
	variables bool
	// ports counts the published ports.
	ports int
}

// judge drops errors about values that are not known yet: those that quote a
// variable and those whose path leads to one.
func (m *composeModel) judge(root *yaml.Node, err error) error {
	if err == nil || !m.variables {
		return err
	}
	if n, _ := byPath(root, tidy(err)); strings.Contains(err.Error(), "$") || strings.Contains(n.Value, "$") {
		return nil
	}
	return err
}

// prepare removes what would make compose-go leave the text (other files) or
// write to the log, and fills in the defaults of variables.
func (m *composeModel) prepare(root *yaml.Node) error {
	if version, ok := m.dict["version"]; ok {
		if _, isText := version.(string); !isText {
			return located(root, "version", "must be a string")
		}
		delete(m.dict, "version") // obsolete and ignored, but compose-go logs it
	}
	included, _ := m.dict["include"].([]any)
	m.include = len(included) > 0
	services, isMap := m.dict["services"].(map[string]any)
	if len(services) == 0 && !m.include {
		if s, ok := m.dict["services"]; ok && s != nil && !isMap {
			return located(root, "services", "must be a mapping")
		}
		return &ComposeError{Field: "services", Message: "the compose file has no services, expected at least one"}
	}
	for _, section := range []string{"networks", "volumes", "secrets", "configs"} {
		entries, _ := m.dict[section].(map[string]any)
		if err := spellExternal(section, entries); err != nil {
			return err
		}
	}
	m.partial = map[string]bool{}
	for _, section := range []string{"services", "jobs"} {
		entries, _ := m.dict[section].(map[string]any)
		if len(entries) > maxServices {
			return located(root, section, fmt.Sprintf("has %d entries, expected at most %d", len(entries), maxServices))
		}
		m.cutFileExtends(entries)
		if err := checkExtendsWeight(root, section, entries); err != nil {
			return err
		}
	}
	if err := m.interpolate(m.dict, castTree(), nil); err != nil {
		return err
	}
	for _, section := range []string{"services", "jobs"} {
		entries, _ := m.dict[section].(map[string]any)
		if err := m.checkPorts(entries); err != nil {
			return err
		}
	}
	return nil
}

// spellExternal rewrites the obsolete form external: {name: x}, which
// compose-go understands but writes to the log.
func spellExternal(section string, entries map[string]any) error {
	for _, key := range slices.Sorted(maps.Keys(entries)) {
		resource, _ := entries[key].(map[string]any)
		external, ok := resource["external"].(map[string]any)
		if !ok || len(external) != 1 {
			continue
		}
		name, ok := external["name"].(string)
		if !ok {
			continue
		}
		if other, named := resource["name"]; named && other != name {
			return &fieldError{path: []string{section, key, "external"}, message: "name and external.name conflict, expected only name"}
		}
		resource["name"] = name
		resource["external"] = true
	}
	return nil
}

// cutFileExtends removes references to services in other files.
func (m *composeModel) cutFileExtends(entries map[string]any) {
	for name, entry := range entries {
		service, _ := entry.(map[string]any)
		extends, _ := service["extends"].(map[string]any)
		if extends["file"] == nil {
			continue
		}
		delete(service, "extends")
		m.partial[name] = true
		if service["image"] == nil && service["build"] == nil {
			service["image"] = "from-another-file"
		}
	}
}

// maxServices bounds the services of one CVM; compose-go takes about a
// millisecond for each.
const maxServices = 1000

// maxExtends bounds how many services one service may build on, in a chain.
const maxExtends = 32

// checkExtendsWeight refuses chains of extends that copy more than the limits
// of a Compose text: each link copies all that the ones before it hold.
func checkExtendsWeight(root *yaml.Node, section string, entries map[string]any) error {
	var total weight
	own := make(map[string]weight, len(entries))
	for name, entry := range entries {
		own[name] = weigh(entry)
	}
	for _, name := range slices.Sorted(maps.Keys(entries)) {
		links := 0
		for at := name; at != ""; at = extendsOf(entries[at]) {
			total.add(own[at])
			if links++; links > maxExtends {
				// Also where a circle ends, which compose-go words better.
				if links > len(entries) {
					break
				}
				return located(root, section+"."+name+".extends", fmt.Sprintf("builds on more than %d services", maxExtends))
			}
			if total.tooHeavy() {
				return located(root, section+"."+name+".extends", fmt.Sprintf("extends copies more than %d values or %d bytes", maxYAMLNodes, maxYAMLBytes))
			}
		}
	}
	return nil
}

func extendsOf(entry any) string {
	service, _ := entry.(map[string]any)
	switch extends := service["extends"].(type) {
	case string:
		return extends
	case map[string]any:
		name, _ := extends["service"].(string)
		return name
	default:
		return ""
	}
}

func weigh(value any) weight {
	w := weight{nodes: 1}
	switch v := value.(type) {
	case string:
		w.bytes = len(v)
	case []any:
		for _, item := range v {
			w.add(weigh(item))
		}
	case map[string]any:
		for key, item := range v {
			w.bytes += len(key)
			w.add(weigh(item))
		}
	}
	return w
}
