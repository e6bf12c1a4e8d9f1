package store

import "testing"

func TestDollars(t *testing.T) {
	for query, want := range map[string]string{
		"SELECT 1":                              "SELECT 1",
		"a = ?1 AND b = ?12 OR c = ?1":          "a = $1 AND b = $12 OR c = $1",
		"a = '?1' AND b = ?2":                   "a = '?1' AND b = $2",
		`a = 'it''s ?1' AND "odd?" = ?2`:        `a = 'it''s ?1' AND "odd?" = $2`,
		"-- what? \nSELECT ?1 -- why?":          "-- what? \nSELECT $1 -- why?",
		"/* really? */ SELECT ?1":               "/* really? */ SELECT $1",
		"SELECT ?1 WHERE a = 'never closed ?2":  "SELECT $1 WHERE a = 'never closed ?2",
		"SELECT ?1 /* never closed ?2":          "SELECT $1 /* never closed ?2",
		"SELECT \"é\", 'é?', ?1 FROM t -- é ?2": "SELECT \"é\", 'é?', $1 FROM t -- é ?2",
	} {
		if got := dollars(query); got != want {
			t.Errorf("dollars(%q) = %q, want %q", query, got, want)
		}
		if got := dollars(query); got != want {
			t.Errorf("dollars(%q) = %q when asked again", query, got)
		}
	}
}
