package api

import "slices"

// Lengths of a CVM name in characters.
const (
	MinCVMName = 5
	MaxCVMName = 63
)

// reservedNames are routes beside /cvms/{id}; a CVM with such a name could not be addressed.
var reservedNames = []string{"batch-stop", "eliza", "instance-ids", "paginated", "provision", "workload"}

// ReservedCVMNames returns the names that no CVM may have because they are routes.
func ReservedCVMNames() []string { return slices.Clone(reservedNames) }

// ValidateCVMName checks the name of a new CVM: 5 to 63 ASCII letters, digits and single hyphens,
// beginning with a letter and ending with a letter or digit, and no route. The error is a
// *[FieldError].
func ValidateCVMName(name string) error {
	if expected := nameRule(name); expected != "" {
		return &FieldError{Field: "name", Seen: quote(name), Expected: expected}
	}
	return nil
}

// nameRule returns the rule that a name breaks, or nothing.
func nameRule(name string) string {
	switch {
	case len(name) < MinCVMName || len(name) > MaxCVMName:
		return "5 to 63 characters"
	case !isLetter(name[0]):
		return "a letter at the beginning"
	case name[len(name)-1] == '-':
		return "a letter or digit at the end"
	}
	for i := range len(name) {
		switch c := name[i]; {
		case isLetter(c), '0' <= c && c <= '9':
		case c == '-' && name[i-1] != '-':
		case c == '-':
			return "no two hyphens in a row"
		default:
			return "only letters, digits and hyphens"
		}
	}
	if slices.Contains(reservedNames, name) {
		return "a name that is not a route of the API"
	}
	return ""
}

func isLetter(c byte) bool { return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' }
