package server

import (
	"net/http"
	"slices"

	"github.com/lockstep-cvm/lockstep/internal/store/column"
)

// Base is the path in front of every operation of the API.
const Base = "/api/v1"

// Route is an operation of the server. Pattern has {name} where a segment is a parameter, as in OpenAPI.
type Route struct {
	Method  string
	Pattern string
}

// operation is a route with what answers it. An error that is returned is rendered by fail; after
// something was written only nil may be returned.
type operation struct {
	Route
	open   bool // needs no API key
	handle func(s *Server, w http.ResponseWriter, r *http.Request, c *call) error
}

// operations is everything the server does. HEAD follows GET, and OPTIONS is answered for every path.
var operations = []operation{
	{Route{"GET", Base + "/auth/me"}, false, (*Server).getMe},

	{Route{"POST", Base + "/cvms/provision"}, false, (*Server).provision},
	{Route{"POST", Base + "/cvms"}, false, (*Server).commit},
	{Route{"GET", Base + "/cvms/paginated"}, false, (*Server).listCVMs},
	{Route{"GET", Base + "/cvms/{id}"}, false, (*Server).getCVM},
	{Route{"GET", Base + "/cvms/{id}/compose_file"}, false, (*Server).getComposeFile},
	{Route{"GET", Base + "/cvms/{id}/docker-compose.yml"}, false, (*Server).getDockerCompose},
	{Route{"PATCH", Base + "/cvms/{id}/docker-compose"}, false, (*Server).updateDockerCompose},
	{Route{"GET", Base + "/cvms/{id}/state"}, false, (*Server).getState},

	{Route{"GET", Base + "/cvms/{id}/composition"}, false, (*Server).getComposition},
	{Route{"GET", Base + "/cvms/{id}/stats"}, false, (*Server).getStats},
	{Route{"GET", Base + "/cvms/{id}/network"}, false, (*Server).getNetwork},
	{Route{"GET", Base + "/cvms/{id}/user_config"}, false, (*Server).getUserConfig},
	{Route{"POST", Base + "/status/batch"}, false, (*Server).statusBatch},
	// Clients fetch addresses of logs without their API key: these two look for a token too.
	{Route{"GET", consoleLogPattern}, true, (*Server).consoleLog},
	{Route{"GET", containerLogPattern}, true, (*Server).containerLog},

	{Route{"POST", Base + "/cvms/{id}/start"}, false, power(column.PowerStart)},
	{Route{"POST", Base + "/cvms/{id}/stop"}, false, power(column.PowerStop)},
	{Route{"POST", Base + "/cvms/{id}/shutdown"}, false, (*Server).shutdown},
	{Route{"POST", Base + "/cvms/{id}/restart"}, false, (*Server).restart},
	{Route{"DELETE", Base + "/cvms/{id}"}, false, (*Server).deleteCVM},
	{Route{"POST", Base + "/cvms/batch-stop"}, false, (*Server).batchStop},
	{Route{"PATCH", Base + "/cvms/{id}/name"}, false, (*Server).rename},
	{Route{"PATCH", Base + "/cvms/{id}/listed"}, false, (*Server).setListed},
	{Route{"GET", Base + "/cvms/{id}/operations"}, false, (*Server).listOperations},
	{Route{"GET", Base + "/cvms/{id}/operation-status"}, false, (*Server).operationStatus},
	{Route{"POST", Base + "/cvms/{id}/operations/cancel"}, false, (*Server).cancelOperation},

	{Route{"POST", Base + "/cvms/{id}/replicas"}, false, (*Server).replicate},
	{Route{"GET", Base + "/apps"}, false, (*Server).listApps},
	{Route{"GET", Base + "/apps/{app_id}"}, false, (*Server).getApp},
	{Route{"GET", Base + "/apps/{app_id}/cvms"}, false, (*Server).getAppCVMs},
	{Route{"POST", Base + "/apps/{app_id}/cvms/{vm_uuid}/replicas"}, false, (*Server).replicateOfApp},

	{Route{"POST", Base + "/apps/{app_id}/rollouts"}, false, (*Server).startRollout},
	{Route{"GET", Base + "/apps/{app_id}/rollouts"}, false, (*Server).listRollouts},
	{Route{"GET", Base + "/apps/{app_id}/rollouts/{rollout_id}"}, false, (*Server).getRollout},
	{Route{"POST", Base + "/apps/{app_id}/rollouts/{rollout_id}/pause"}, false, steer(Domain.PauseRollout)},
	{Route{"POST", Base + "/apps/{app_id}/rollouts/{rollout_id}/resume"}, false, steer(Domain.ResumeRollout)},
	{Route{"POST", Base + "/apps/{app_id}/rollouts/{rollout_id}/abort"}, false, steer(Domain.AbortRollout)},

	{Route{"GET", Base + "/apps/{app_id}/revisions"}, false, (*Server).listRevisions},
	{Route{"GET", Base + "/apps/{app_id}/revisions/{revision_id}"}, false, (*Server).getRevision},
	{Route{"POST", Base + "/apps/{app_id}/revisions/{revision_id}/redeploy"}, false, (*Server).redeployApp},
	{Route{"POST", Base + "/cvms/{id}/revisions/{revision_id}/redeploy"}, false, (*Server).redeploy},
	{Route{"GET", Base + "/apps/{app_id}/history"}, true, (*Server).getHistory},
	{Route{"PATCH", Base + "/apps/{app_id}/history"}, false, (*Server).setHistory},

	{Route{"GET", Base + "/kms"}, false, (*Server).listKMS},
	{Route{"GET", Base + "/kms/{kms}"}, false, (*Server).getKMS},
	{Route{"GET", Base + "/kms/{kms}/pubkey/{app_id}"}, false, (*Server).getPubKey},
	{Route{"GET", Base + "/kms/phala/next_app_id"}, false, (*Server).nextAppIDs},
	{Route{"GET", Base + "/teepods/available"}, false, (*Server).availableNodes},
	{Route{"GET", Base + "/workspaces/{slug}/nodes"}, false, (*Server).workspaceNodes},

	{Route{"GET", "/healthz"}, true, (*Server).healthz},
	{Route{"GET", "/readyz"}, true, (*Server).readyz},
	{Route{"GET", "/metrics"}, true, (*Server).serveMetrics},
	{Route{"GET", "/openapi.json"}, true, (*Server).serveOpenAPI},
}

// Routes lists the operations of the server.
func Routes() []Route {
	routes := make([]Route, len(operations))
	for i, o := range operations {
		routes[i] = o.Route
	}
	return slices.Clip(routes)
}
