package lockstep

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// operations are those of the API that the SDK may call.
var operations = []string{
	"GET /auth/me",
	"GET /cvms/paginated",
	"POST /cvms/provision",
	"POST /cvms",
	"GET /cvms/{id}",
	"GET /cvms/{id}/compose_file",
	"GET /cvms/{id}/docker-compose.yml",
	"PATCH /cvms/{id}/docker-compose",
	"GET /cvms/{id}/state",
	"POST /cvms/{id}/start",
	"POST /cvms/{id}/stop",
	"POST /cvms/{id}/shutdown",
	"POST /cvms/{id}/restart",
	"DELETE /cvms/{id}",
	"GET /cvms/{id}/operations",
	"GET /cvms/{id}/operation-status",
	"POST /cvms/{id}/operations/cancel",
	"GET /cvms/{id}/composition",
	"GET /cvms/{id}/stats",
	"GET /cvms/{id}/network",
	"GET /cvms/{id}/user_config",
	"POST /status/batch",
	"GET /apps",
	"POST /cvms/{id}/replicas",
	"GET /apps/{app_id}",
	"GET /apps/{app_id}/cvms",
	"POST /apps/{app_id}/cvms/{vm_uuid}/replicas",
	"POST /apps/{app_id}/rollouts",
	"GET /apps/{app_id}/rollouts",
	"GET /apps/{app_id}/rollouts/{rollout_id}",
	"POST /apps/{app_id}/rollouts/{rollout_id}/pause",
	"POST /apps/{app_id}/rollouts/{rollout_id}/resume",
	"POST /apps/{app_id}/rollouts/{rollout_id}/abort",
	"GET /apps/{app_id}/revisions",
	"GET /apps/{app_id}/revisions/{revision_id}",
	"POST /apps/{app_id}/revisions/{revision_id}/redeploy",
	"POST /cvms/{id}/revisions/{revision_id}/redeploy",
	"GET /apps/{app_id}/history",
	"PATCH /apps/{app_id}/history",
	"GET /kms",
	"GET /kms/{kms_id}",
	"GET /kms/{kms_id}/pubkey/{app_id}",
	"GET /kms/phala/next_app_id",
	"GET /teepods/available",
	"GET /workspaces/{slug}/nodes",
}

// composite are methods that call other methods, or nothing.
var composite = []string{"Apply", "SafeUpdateDockerCompose", "WaitRollout", "BaseURL", "String", "GoString"}

var operationLine = regexp.MustCompile(`(?m)^API: ([A-Z]+ /\S*)$`)

// Every method that talks to the server names its operation, and every operation has a method.
func TestEveryMethodNamesItsOperation(t *testing.T) {
	paths, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	named := map[string]bool{}
	for _, path := range paths {
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		for _, decl := range file.Decls {
			f, ok := decl.(*ast.FuncDecl)
			if !ok || !f.Name.IsExported() || !isClientMethod(f) || slices.Contains(composite, f.Name.Name) {
				continue
			}
			m := operationLine.FindStringSubmatch(f.Doc.Text())
			switch {
			case m == nil:
				t.Errorf("%s has no line `// API: METHOD /path` in its comment", f.Name.Name)
			case !slices.Contains(operations, m[1]):
				t.Errorf("%s names the unknown operation %s", f.Name.Name, m[1])
			default:
				named[m[1]] = true
			}
		}
	}
	for _, op := range operations {
		if !named[op] {
			t.Errorf("no method names %s", op)
		}
	}
}

func isClientMethod(f *ast.FuncDecl) bool {
	if f.Recv == nil {
		return false
	}
	star, ok := f.Recv.List[0].Type.(*ast.StarExpr)
	if !ok {
		return false
	}
	id, ok := star.X.(*ast.Ident)
	return ok && id.Name == "Client"
}

// Someone who only calls the API must not pay for a chain, a database or a YAML library.
func TestImportsAreLight(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", "-f", "{{if not .Standard}}{{.ImportPath}}{{end}}", ".").CombinedOutput()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, out)
	}
	const module = "github.com/lockstep-cvm/lockstep"
	got := strings.Fields(string(out))
	slices.Sort(got)
	if want := []string{module, module + "/api"}; !slices.Equal(got, want) {
		t.Errorf("the SDK imports %q beside the standard library, want %q", got, want)
	}
}
