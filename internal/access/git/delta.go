package git

// apply makes an object from another and a delta.
func apply(base, delta []byte) (made []byte, over bool, err error) {
	number := func() int {
		n, shift := 0, 0
		for len(delta) > 0 && shift < 40 {
			b := delta[0]
			delta = delta[1:]
			n |= int(b&0x7f) << shift
			if b&0x80 == 0 {
				return n
			}
			shift += 7
		}
		return -1
	}
	if from, to := number(), 0; from != len(base) {
		return nil, false, errGit
	} else if to = number(); to < 0 {
		return nil, false, errGit
	} else if to > maxObject {
		return nil, true, nil
	} else {
		made = make([]byte, 0, to)
	}
	want := cap(made)
	for len(delta) > 0 {
		op := delta[0]
		delta = delta[1:]
		if op&0x80 == 0 {
			if op == 0 || int(op) > len(delta) || len(made)+int(op) > want {
				return nil, false, errGit
			}
			made, delta = append(made, delta[:op]...), delta[op:]
			continue
		}
		var from, n int
		for i := range 7 {
			if op&(1<<i) == 0 {
				continue
			}
			if len(delta) == 0 {
				return nil, false, errGit
			}
			if i < 4 {
				from |= int(delta[0]) << (8 * i)
			} else {
				n |= int(delta[0]) << (8 * (i - 4))
			}
			delta = delta[1:]
		}
		if n == 0 {
			n = 0x10000
		}
		if from+n > len(base) || len(made)+n > want {
			return nil, false, errGit
		}
		made = append(made, base[from:from+n]...)
	}
	if len(made) != want {
		return nil, false, errGit
	}
	return made, false, nil
}
