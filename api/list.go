package api

import "encoding/json"

// List is an array that is never null on the wire: the official clients reject null where an array
// is required. A nil List is sent as [].
type List[T any] []T

// MarshalJSON implements [json.Marshaler].
func (l List[T]) MarshalJSON() ([]byte, error) {
	if l == nil {
		return []byte("[]"), nil
	}
	return json.Marshal([]T(l))
}

// Page is one page of a listing: {items, total, page, page_size, pages}. Pages are counted from 1.
type Page[T any] struct {
	Items    List[T] `json:"items"`
	Total    int     `json:"total"`
	Page     int     `json:"page"`
	PageSize int     `json:"page_size"`
	Pages    int     `json:"pages"`
}
