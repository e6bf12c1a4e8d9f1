package server

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// node is one segment of the tree of paths.
//
// The standard mux answers a path that is not clean with a redirect. The official clients produce such
// paths (a base URL that ends in a slash gives //cvms/… on the event stream) and put identifiers into
// them as they are, so this one takes what it gets: empty segments do not count, and each segment is
// unescaped on its own.
type node struct {
	children map[string]*node
	param    *node // any segment
	name     string
	methods  map[string]*operation
}

func newTree(operations []operation) *node {
	root := &node{}
	for i := range operations {
		at := root
		for _, segment := range segments(operations[i].Pattern) {
			at = at.grow(segment)
		}
		if at.methods == nil {
			at.methods = map[string]*operation{}
		}
		at.methods[operations[i].Method] = &operations[i]
	}
	return root
}

func (n *node) grow(segment string) *node {
	if name, ok := strings.CutPrefix(segment, "{"); ok {
		if n.param == nil {
			n.param = &node{name: strings.TrimSuffix(name, "}")}
		}
		return n.param
	}
	if n.children == nil {
		n.children = map[string]*node{}
	}
	if n.children[segment] == nil {
		n.children[segment] = &node{}
	}
	return n.children[segment]
}

// find returns the node of a path with its parameters. A literal segment goes before a parameter; when
// it leads nowhere the parameter is tried.
func (n *node) find(path []string, params map[string]string) *node {
	if len(path) == 0 {
		if n.methods == nil {
			return nil
		}
		return n
	}
	if child := n.children[path[0]]; child != nil {
		if found := child.find(path[1:], params); found != nil {
			return found
		}
	}
	if n.param == nil {
		return nil
	}
	found := n.param.find(path[1:], params)
	if found != nil {
		params[n.param.name] = path[0]
	}
	return found
}

// operation returns what answers a method here, if anything does.
func (n *node) operation(method string) *operation {
	if o := n.methods[method]; o != nil {
		return o
	}
	if method == http.MethodHead {
		return n.methods[http.MethodGet]
	}
	return nil
}

// allow lists the methods of the node for the headers Allow and Access-Control-Allow-Methods.
func (n *node) allow() string {
	methods := []string{http.MethodOptions}
	for method := range n.methods {
		methods = append(methods, method)
		if method == http.MethodGet {
			methods = append(methods, http.MethodHead)
		}
	}
	slices.Sort(methods)
	return strings.Join(methods, ", ")
}

// segments splits an escaped path. A segment that cannot be unescaped is kept as it is: no route and no
// identifier looks like that.
func segments(path string) []string {
	var parts []string
	for part := range strings.SplitSeq(path, "/") {
		if part == "" {
			continue
		}
		if plain, err := url.PathUnescape(part); err == nil {
			part = plain
		}
		parts = append(parts, part)
	}
	return parts
}
