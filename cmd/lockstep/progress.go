package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/term"

	"github.com/lockstep-cvm/lockstep"
)

// progress tells what an update does: as plain lines, and on a terminal with a last line that is
// rewritten while nothing new happens.
type progress struct {
	out      io.Writer
	cvm      string
	live     bool
	began    time.Time
	unclosed bool // the last line is still open
}

func newProgress(out io.Writer, cvm string) *progress {
	file, ok := out.(*os.File)
	return &progress{out: out, cvm: cvm, live: ok && term.IsTerminal(int(file.Fd())), began: time.Now()}
}

// show is told of every step by Client.Apply.
func (p *progress) show(e lockstep.ApplyEvent) {
	switch e.Step {
	case lockstep.StepPropose:
		p.say("proposing the new Compose file")
	case lockstep.StepApprove:
		p.say("needs approval on chain: compose hash 0x" + e.Precondition.ComposeHash + " of app 0x" + e.Precondition.AppID)
	case lockstep.StepConfirm:
		p.say("confirming with " + describeProof(e.TransactionHash))
	case lockstep.StepBusy:
		p.status("another operation runs on the CVM; waiting")
	case lockstep.StepUnproven:
		p.status("the server does not see the approval yet; waiting")
	case lockstep.StepRestart:
		p.say("the proposal is no longer known; proposing again")
	case lockstep.StepAccepted:
		p.say("accepted, correlation id " + e.CorrelationID)
	case lockstep.StepWaiting:
		p.status("CVM is " + string(e.Status))
	case lockstep.StepDone:
		p.say("done: the approved document runs")
	}
}

func describeProof(tx string) string {
	if tx == "" || tx == lockstep.AlreadyRegistered {
		return "the approval that is on chain already"
	}
	return "transaction " + tx
}

// say prints a line that stays.
func (p *progress) say(text string) {
	p.closeLine()
	_, _ = fmt.Fprintf(p.out, "%6.1fs  %s: %s\n", time.Since(p.began).Seconds(), p.cvm, text)
}

// status prints a line that the next one replaces on a terminal.
func (p *progress) status(text string) {
	if !p.live {
		p.say(text)
		return
	}
	_, _ = fmt.Fprintf(p.out, "\r\x1b[K%6.1fs  %s: %s", time.Since(p.began).Seconds(), p.cvm, text)
	p.unclosed = true
}

func (p *progress) closeLine() {
	if p.unclosed {
		_, _ = fmt.Fprint(p.out, "\r\x1b[K")
		p.unclosed = false
	}
}

// end leaves the terminal as it was found.
func (p *progress) end() { p.closeLine() }
