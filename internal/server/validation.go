package server

import (
	"fmt"
	"net/url"
	"strconv"

	"github.com/lockstep-cvm/lockstep/api"
)

// validationError is a 422 in the form of the hosted API: clients read a 422 only as a list of items
// that each name a place in the request.
type validationError struct{ items []api.ValidationItem }

// Error implements error.
func (e *validationError) Error() string {
	return fmt.Sprintf("%v: %s", e.items[0].Loc, e.items[0].Msg)
}

func invalidAt(kind, message string, loc ...any) *validationError {
	return &validationError{items: []api.ValidationItem{{Loc: loc, Msg: message, Type: kind}}}
}

// queryInt reads a whole number from the query; absent means the default.
func queryInt(query url.Values, name string, fallback, least, most int) (int, error) {
	if !query.Has(name) {
		return fallback, nil
	}
	text := query.Get(name)
	n, err := strconv.Atoi(text)
	if err != nil {
		return 0, invalidAt("int_parsing", fmt.Sprintf("got %q, want a whole number from %d to %d", clip(text), least, most), "query", name)
	}
	if n < least || n > most {
		return 0, invalidAt("out_of_range", fmt.Sprintf("got %d, want %d to %d", n, least, most), "query", name)
	}
	return n, nil
}

// queryBool reads true or false from the query; absent means nil.
func queryBool(query url.Values, name string) (*bool, error) {
	if !query.Has(name) {
		return nil, nil //nolint:nilnil // "not asked" is one of the three answers
	}
	b, err := strconv.ParseBool(query.Get(name))
	if err != nil {
		return nil, invalidAt("bool_parsing", fmt.Sprintf("got %q, want true or false", clip(query.Get(name))), "query", name)
	}
	return &b, nil
}

// page is the part of a listing that a request asks for.
type page struct{ number, size int }

// maxPage keeps the row offset of a page inside an integer.
const maxPage = 1_000_000

func queryPage(query url.Values, size, most int) (page, error) {
	var p page
	var err error
	if p.number, err = queryInt(query, "page", 1, 1, maxPage); err != nil {
		return p, err
	}
	p.size, err = queryInt(query, "page_size", size, 1, most)
	return p, err
}

// pageOf wraps the items of a page.
func pageOf[T any](p page, items []T, total int) api.Page[T] {
	return api.Page[T]{Items: items, Total: total, Page: p.number, PageSize: p.size, Pages: (total + p.size - 1) / p.size}
}
