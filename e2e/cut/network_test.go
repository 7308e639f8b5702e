package cut

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// The network: the server here, the edges there, and between them a router that
// can lose what is sent either way. Both ends keep their links and routes, so that
// nothing tells them.
//
//	server 10.77.1.2 — 10.77.1.1 router 10.77.2.1 — 10.77.2.2 edges
const (
	serverAt = "10.77.1.2"
	edgesAt  = "10.77.2.2"
)

type network struct{ server, router, edges string }

func ip(args ...string) error {
	if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
		return fmt.Errorf("ip %s: %w: %s", strings.Join(args, " "), err, out)
	}
	return nil
}

func lay(name string) (*network, error) {
	n := &network{name + "-server", name + "-router", name + "-edges"}
	for _, line := range []string{
		"netns add " + n.server, "netns add " + n.router, "netns add " + n.edges,
		"link add out netns " + n.server + " type veth peer name server netns " + n.router,
		"link add out netns " + n.edges + " type veth peer name edges netns " + n.router,
		"-n " + n.server + " addr add " + serverAt + "/24 dev out", "-n " + n.router + " addr add 10.77.1.1/24 dev server",
		"-n " + n.edges + " addr add " + edgesAt + "/24 dev out", "-n " + n.router + " addr add 10.77.2.1/24 dev edges",
		"-n " + n.server + " link set lo up", "-n " + n.server + " link set out up", "-n " + n.router + " link set server up",
		"-n " + n.edges + " link set lo up", "-n " + n.edges + " link set out up", "-n " + n.router + " link set edges up",
		"-n " + n.server + " route add default via 10.77.1.1", "-n " + n.edges + " route add default via 10.77.2.1",
		"netns exec " + n.router + " sysctl -q -w net.ipv4.ip_forward=1",
	} {
		if err := ip(strings.Fields(line)...); err != nil {
			n.remove()
			return nil, err
		}
	}
	return n, nil
}

func (n *network) remove() {
	for _, name := range []string{n.server, n.router, n.edges} {
		_ = ip("netns", "del", name)
	}
}

// lose drops whatever is sent to an address, and says nothing to who sends it.
func (n *network) lose(to string) error {
	return ip("-n", n.router, "route", "add", "blackhole", to+"/32")
}

func (n *network) heal(to string) error {
	return ip("-n", n.router, "route", "del", "blackhole", to+"/32")
}

// certificate makes one for the server that is its own authority.
func certificate(dir string) (cert, key string, err error) {
	secret, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", "", err
	}
	of := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true,
		BasicConstraintsValid: true, IPAddresses: []net.IP{net.ParseIP(serverAt)}}
	der, err := x509.CreateCertificate(rand.Reader, of, of, &secret.PublicKey, secret)
	if err != nil {
		return "", "", err
	}
	private, err := x509.MarshalPKCS8PrivateKey(secret)
	if err != nil {
		return "", "", err
	}
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	if err := os.WriteFile(cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		return "", "", err
	}
	return cert, key, os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), 0o600)
}

// within runs this test again in the namespace of the server, which it talks to and
// which trusts its certificate.
func within(t *testing.T, n *network, cert, key string) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "ip", "netns", "exec", n.server, self, "-test.run", "^"+t.Name()+"$", "-test.v", "-test.timeout", "10m")
	cmd.Env = append(os.Environ(), inside+"="+strings.TrimSuffix(n.server, "-server"), "SSL_CERT_FILE="+cert, "CARDEA_TLS_CERT_FILE="+cert, "CARDEA_TLS_KEY_FILE="+key)
	out, err := cmd.CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Fatal(err)
	}
}
