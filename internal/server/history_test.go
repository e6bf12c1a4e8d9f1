package server_test

import (
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/lockstep-cvm/lockstep/api"
	"github.com/lockstep-cvm/lockstep/history"
)

func TestHistoryOverHTTP(t *testing.T) {
	h := newHarness(t)
	id := h.create("my-app", "on")
	app := h.do("GET", base+"/cvms/"+id, "").want(t, http.StatusOK).text(t, "app_id")
	path := base + "/apps/" + app + "/history"

	var copied strings.Builder
	after := "0"
	for pages := 0; after != ""; pages++ {
		page := h.do("GET", path+"?limit=2&after="+after, "").want(t, http.StatusOK)
		copied.Write(page.body)
		after = ""
		if next, ok := page.at(t, "next_after").(float64); ok {
			after = strconv.FormatFloat(next, 'f', -1, 64)
		}
		if pages > 20 {
			t.Fatal("paging does not end")
		}
	}
	result, err := history.Check(strings.NewReader(copied.String()))
	if err != nil || result.Entries != 6 || result.AppID != app {
		t.Fatalf("the copy: %+v, %v", result, err)
	}

	stranger := []string{api.HeaderAPIKey, ""}
	h.do("GET", path, "", stranger...).want(t, http.StatusUnauthorized)
	h.do("GET", base+"/apps/"+strings.Repeat("1", 40)+"/history", "", stranger...).want(t, http.StatusUnauthorized)
	h.do("GET", path, "", api.HeaderAPIKey, "lsk_wrong").want(t, http.StatusUnauthorized)
	h.do("GET", path, "", api.HeaderAPIKey, h.bob).want(t, http.StatusNotFound)
	h.do("GET", path, "", api.HeaderAPIKey, h.reader).want(t, http.StatusOK)
	h.do("PATCH", path, `{"public": true}`, api.HeaderAPIKey, h.reader).want(t, http.StatusForbidden)
	h.do("PATCH", path, `{"public": "yes"}`).want(t, http.StatusUnprocessableEntity)
	h.do("PATCH", path, `{}`).want(t, http.StatusBadRequest)
	if public := h.do("PATCH", path, `{"public": true}`).want(t, http.StatusOK).at(t, "public"); public != true {
		t.Errorf("public = %v", public)
	}
	h.do("GET", path, "", stranger...).want(t, http.StatusOK)
	h.do("GET", path, "", api.HeaderAPIKey, h.bob).want(t, http.StatusOK)
	h.do("GET", path, "", api.HeaderAPIKey, "lsk_wrong").want(t, http.StatusUnauthorized)
	for _, query := range []string{"?after=-1", "?after=x", "?limit=0", "?limit=1001"} {
		h.do("GET", path+query, "").want(t, http.StatusUnprocessableEntity)
	}
	if entries := h.do("GET", path+"?after=999", "").want(t, http.StatusOK).at(t, "entries"); len(entries.([]any)) != 0 {
		t.Errorf("entries after the head: %v", entries)
	}
}
