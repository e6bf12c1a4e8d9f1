package runtime

import "context"

// Preparer is what a driver implements besides Runtime when it can get ready for a document while another one
// still runs, so that what can fail beforehand does not take the running one down.
type Preparer interface {
	// Prepare fetches and checks what a boot of this configuration needs, such as the images of its
	// containers. It changes neither what runs nor what boots next, and may take long. The error is
	// ErrNotFound, ErrUnreachable, that of the context, or says why the configuration would not boot.
	Prepare(ctx context.Context, id string, config Config) error
}
