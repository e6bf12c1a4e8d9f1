package demo

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// Who says something.
const (
	client  = "client"
	control = "control" // the control plane
	owner   = "owner"   // of the app, with the key
	chain   = "chain"
	node    = "node"
)

// page writes the story as plain ASCII lines, which look the same on a terminal and in a log.
type page struct{ out io.Writer }

const (
	markWidth  = 6 // of the column with ok and FAIL
	voiceWidth = 9 // of the column that says who speaks
	lineWidth  = 102
	timeWidth  = 9
)

// line writes one line. Whoever reads along may leave; the checks go on.
func (p *page) line(format string, args ...any) { _, _ = fmt.Fprintf(p.out, format+"\n", args...) }

func (p *page) opening() {
	p.line("Lockstep demo: the whole cloud in one process, and every claim checked.")
}

func (p *page) chapter(number int, title string) {
	p.line("\n%d. %s\n", number, title)
}

// say writes what one side says, folded to the width of the page.
func (p *page) say(who, format string, args ...any) {
	for i, text := range fold(fmt.Sprintf(format, args...), lineWidth-markWidth-voiceWidth) {
		if i > 0 {
			who = ""
		}
		p.line("%*s%-*s%s", markWidth, "", voiceWidth, who, text)
	}
}

func (p *page) check(c Check) {
	mark := "ok"
	if !c.OK {
		mark = "FAIL"
	}
	p.line("%-*s%-*s%*s", markWidth, mark, lineWidth-markWidth-timeWidth, c.Name, timeWidth, fmt.Sprintf("%d ms", c.Milliseconds))
	if c.OK {
		return
	}
	for _, text := range fold(c.Detail, lineWidth-markWidth) {
		p.line("%*s%s", markWidth, "", text)
	}
}

func (p *page) summary(r Report, took time.Duration) {
	failed := r.Failed()
	p.line("")
	for _, c := range failed {
		p.line("%-*s%s", markWidth, "FAIL", c.Name)
	}
	if len(failed) > 0 {
		p.line("%d of %d checks FAILED, after %.1f s.", len(failed), len(r.Checks), took.Seconds())
		return
	}
	p.line("All %d checks ok, in %.1f s. Next: `lockstep dev` keeps such a cloud running for your own clients.",
		len(r.Checks), took.Seconds())
}

// fold breaks a text at blanks into lines of at most width bytes; a longer word stays whole. Line ends in
// the text are kept, and so is the indent of a line.
func fold(text string, width int) []string {
	var lines []string
	for whole := range strings.SplitSeq(text, "\n") {
		indent := whole[:len(whole)-len(strings.TrimLeft(whole, " "))]
		if strings.HasPrefix(whole[len(indent):], arrow) {
			indent += strings.Repeat(" ", len(arrow))
			whole = strings.TrimLeft(whole, " ")
		}
		for len(whole) > width {
			at := strings.LastIndexByte(whole[:width+1], ' ')
			if at <= len(indent) {
				if at = strings.IndexByte(whole[len(indent):], ' '); at < 0 {
					break
				}
				at += len(indent)
			}
			lines = append(lines, whole[:at])
			whole = indent + strings.TrimLeft(whole[at:], " ")
		}
		lines = append(lines, whole)
	}
	return lines
}

// arrow leads what somebody can do next.
const arrow = "-> "

// short is a hash for a sentence; where hashes are compared they are written whole.
func short(hash string) string {
	const most = 12
	if len(hash) <= most {
		return hash
	}
	return hash[:most] + ".."
}
