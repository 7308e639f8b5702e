package graph

// Count is how many relations and attributes the graph holds. Unlike Size it
// counts nothing.
func (g *Graph) Count() int { return g.tuples + g.attributes }
