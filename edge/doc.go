// Package edge decides what somebody may do beside the application that asks:
// it holds the relations, attributes and policies of a realm of Cardea, follows
// their changes within milliseconds, and runs the same function as the server. It
// goes on when it is cut off, says how old its facts are, and denies what is too
// old for the action.
//
//	e, err := edge.Open(ctx, edge.Config{
//		Issuer:      "https://id.example.com",
//		Credentials: verify.ClientSecret("orders-edge", secret),
//		Dir:         "/var/lib/orders/edge",
//	})
//	…
//	answer := e.Decide(ctx, edge.Question{
//		Subject: edge.Entity{Type: "user", ID: user}, Action: "write",
//		Resource: edge.Entity{Type: "document", ID: document},
//	})
//	if !answer.Allowed { … }
//
// The zero Answer denies. Handler answers AuthZEN 1.0 for programs in other
// languages; "cardea edge" is nothing but that on a socket.
package edge
