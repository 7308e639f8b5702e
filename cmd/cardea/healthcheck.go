package main

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/spf13/cobra"

	"github.com/cardea-id/cardea/internal/config"
)

func (c *console) healthcheckCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "healthcheck",
		Short: "Ask the server on this machine whether it is ready",
		Long:  "Exits 0 when the server that has this configuration answers that it is ready. For containers and supervisors.",
		Args:  cobra.NoArgs,
	}
	s := addSettings(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		cfg, err := c.load(cmd, s)
		if err != nil {
			return err
		}
		req, err := http.NewRequestWithContext(cmd.Context(), http.MethodGet, ownAddress(cfg)+"/readyz", nil)
		if err != nil {
			return err
		}
		issuer, err := url.Parse(cfg.Issuer)
		if err != nil {
			return err
		}
		req.Host = issuer.Host
		// This asks the process on this machine whether it lives; whose
		// certificate it has does not matter, and nothing is sent.
		local := &http.Client{Timeout: 3 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
		res, err := local.Do(req)
		if err != nil {
			return err
		}
		defer res.Body.Close()
		if res.StatusCode != http.StatusOK {
			return fmt.Errorf("the server is not ready: %s", res.Status)
		}
		fmt.Fprintln(c.out, "ready")
		return nil
	}
	return cmd
}

// ownAddress is where a server with this configuration listens, seen from the
// same machine.
func ownAddress(cfg *config.Config) string {
	scheme := "http"
	if cfg.TLS.CertFile != "" {
		scheme = "https"
	}
	host, port, err := net.SplitHostPort(cfg.Listen)
	if ip := net.ParseIP(host); err == nil && (host == "" || ip != nil && ip.IsUnspecified()) {
		host = "localhost"
	}
	return scheme + "://" + net.JoinHostPort(host, port)
}
