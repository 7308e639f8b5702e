package db

import "context"

// Page reads one page of a list of a realm: up to limit items, which is held
// between 1 and most, and the key of the item to go on behind, or "" at the end.
// read is asked for one item more, by which the end is known.
func Page[T any](ctx context.Context, d *DB, realm string, limit, most int, read func(tx *Tx, limit int) ([]T, error), key func(T) string) (page []T, next string, err error) {
	limit = min(max(limit, 1), most)
	err = d.View(ctx, realm, func(tx *Tx) error {
		page, err = read(tx, limit+1)
		return err
	})
	if err != nil {
		return nil, "", err
	}
	if len(page) <= limit {
		return page, "", nil
	}
	return page[:limit], key(page[limit-1]), nil
}
