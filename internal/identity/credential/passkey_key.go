package credential

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"math/big"
	"slices"

	"github.com/go-webauthn/webauthn/protocol/webauthncose"
)

// passkeyAlgorithms are those offered to authenticators, the best first, by
// their numbers in the COSE registry (RFC 9053, RFC 8812).
var passkeyAlgorithms = [...]int64{
	int64(webauthncose.AlgES256), int64(webauthncose.AlgEdDSA), int64(webauthncose.AlgRS256),
}

// The sizes of RSA keys, in bits.
const (
	leastRSA = 2048
	mostRSA  = 4096
)

// parsePasskeyKey reads a COSE_Key and refuses what was not offered: other
// algorithms, other curves, points that are on none, short or odd RSA keys.
func parsePasskeyKey(cose []byte) (key any, err error) {
	key, err = webauthncose.ParsePublicKey(cose)
	if err != nil {
		return nil, refusal("key_unusable")
	}
	switch k := key.(type) {
	case webauthncose.EC2PublicKeyData:
		if k.Algorithm == int64(webauthncose.AlgES256) && k.Curve == int64(webauthncose.P256) {
			return key, nil
		}
	case webauthncose.OKPPublicKeyData:
		if k.Algorithm == int64(webauthncose.AlgEdDSA) && k.Curve == int64(webauthncose.Ed25519) {
			return key, nil
		}
	case webauthncose.RSAPublicKeyData:
		if k.Algorithm == int64(webauthncose.AlgRS256) {
			return key, checkRSA(k)
		}
	}
	return nil, refusal("algorithm")
}

func checkRSA(k webauthncose.RSAPublicKeyData) error {
	n, e := new(big.Int).SetBytes(k.Modulus), new(big.Int).SetBytes(k.Exponent)
	if bits := n.BitLen(); bits < leastRSA || bits > mostRSA || n.Bit(0) == 0 {
		return refusal("rsa_key_size")
	}
	if e.BitLen() < 2 || e.BitLen() > 31 || e.Bit(0) == 0 {
		return refusal("rsa_key_exponent")
	}
	return nil
}

// verifyPasskey checks a signature of the key.
func verifyPasskey(cose, signed, signature []byte) error {
	key, err := parsePasskeyKey(cose)
	if err != nil {
		return err
	}
	if k, ok := key.(webauthncose.EC2PublicKeyData); ok {
		return verifyES256(k, signed, signature)
	}
	if ok, err := webauthncose.VerifySignature(key, signed, signature); err != nil || !ok {
		return refusal("signature")
	}
	return nil
}

// verifyES256 does without the library, which reads and writes the signature three
// times over: crypto/ecdsa takes none but the canonical DER (SEC 1, C.5) either, and
// no point that is not on the curve.
func verifyES256(k webauthncose.EC2PublicKeyData, signed, signature []byte) error {
	const size, uncompressed = 32, 4 // SEC 1, 2.3.3
	if len(k.XCoord) != size || len(k.YCoord) != size {
		return refusal("key_unusable")
	}
	public, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), slices.Concat([]byte{uncompressed}, k.XCoord, k.YCoord))
	if err != nil {
		return refusal("key_unusable")
	}
	if digest := sha256.Sum256(signed); !ecdsa.VerifyASN1(public, digest[:], signature) {
		return refusal("signature")
	}
	return nil
}
