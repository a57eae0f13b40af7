// Judge reads logs of ours with the verifiers of others, and says yes (exit 0) or no (exit 1, and why).
package main

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"filippo.io/torchwood"
	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

func main() {
	verbs := map[string]func([]string) error{
		"log": judgeLog, "consistency": judgeConsistency, "proof": judgeProof, "cosigned": judgeCosigned,
	}
	verb := verbs[os.Args[1]]
	if verb == nil {
		fail(fmt.Errorf("no such verb: %s", os.Args[1]))
	}
	if err := verb(os.Args[2:]); err != nil {
		fail(err)
	}
	fmt.Println("ok")
}

func fail(err error) {
	fmt.Println(err)
	os.Exit(1)
}

// openTree opens a checkpoint with sumdb/note and reads it as a tlog tree.
func openTree(path, key string) (tlog.Tree, error) {
	verifier, err := note.NewVerifier(key)
	if err != nil {
		return tlog.Tree{}, err
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return tlog.Tree{}, err
	}
	opened, err := note.Open(text, note.VerifierList(verifier))
	if err != nil {
		return tlog.Tree{}, err
	}
	checkpoint, err := torchwood.ParseCheckpoint(opened.Text)
	if err != nil {
		return tlog.Tree{}, err
	}
	if checkpoint.Origin != verifier.Name() {
		return tlog.Tree{}, fmt.Errorf("origin %q", checkpoint.Origin)
	}
	return checkpoint.Tree, nil
}

// tiles reads published tiles at the paths of C2SP tlog-tiles.
type tiles struct{ dir string }

func (t tiles) Height() int { return 8 }

func (t tiles) ReadTiles(want []tlog.Tile) ([][]byte, error) {
	var all [][]byte
	for _, tile := range want {
		data, err := os.ReadFile(filepath.Join(t.dir, torchwood.TilePath(tile)))
		if err != nil {
			return nil, err
		}
		all = append(all, data)
	}
	return all, nil
}

func (t tiles) SaveTiles([]tlog.Tile, [][]byte) {}

// judgeLog DIR KEY: hashes every entry, compares the tree with the signed root, every leaf with the published tiles, and
// proves entries with two implementations.
func judgeLog(args []string) error {
	dir, key := args[0], args[1]
	tree, err := openTree(filepath.Join(dir, "checkpoint"), key)
	if err != nil {
		return err
	}
	var stored []tlog.Hash
	reader := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		var out []tlog.Hash
		for _, i := range indexes {
			out = append(out, stored[i])
		}
		return out, nil
	})
	entries, err := readEntries(dir, tree.N)
	if err != nil {
		return err
	}
	published := tlog.TileHashReader(tree, tiles{dir})
	for i, entry := range entries {
		hashes, err := tlog.StoredHashes(int64(i), entry, reader)
		if err != nil {
			return err
		}
		stored = append(stored, hashes...)
		// Authenticated against the signed root by tlog itself.
		leaf, err := published.ReadHashes([]int64{tlog.StoredHashIndex(0, int64(i))})
		if err != nil {
			return fmt.Errorf("tiles: %w", err)
		}
		if leaf[0] != tlog.RecordHash(entry) {
			return fmt.Errorf("entry %d does not have the published hash", i)
		}
	}
	root, err := tlog.TreeHash(tree.N, reader)
	if err != nil {
		return err
	}
	if root != tree.Hash {
		return fmt.Errorf("the entries do not lead to the signed root")
	}
	for i := int64(0); i < tree.N; i += 37 {
		path, err := tlog.ProveRecord(tree.N, i, published)
		if err != nil {
			return err
		}
		if err := tlog.CheckRecord(path, tree.N, tree.Hash, i, tlog.RecordHash(entries[i])); err != nil {
			return err
		}
		leaf := rfc6962.DefaultHasher.HashLeaf(entries[i])
		if err := proof.VerifyInclusion(rfc6962.DefaultHasher, uint64(i), uint64(tree.N), leaf, bytesOf(path), tree.Hash[:]); err != nil {
			return err
		}
	}
	return nil
}

func readEntries(dir string, size int64) ([][]byte, error) {
	var entries [][]byte
	for first := int64(0); first < size; first += 256 {
		tile := tlog.Tile{H: 8, L: -1, N: first / 256, W: int(min(256, size-first))}
		data, err := os.ReadFile(filepath.Join(dir, torchwood.TilePath(tile)))
		if err != nil {
			return nil, err
		}
		for i := 0; i < tile.W; i++ {
			if len(data) < 2 || len(data) < 2+int(binary.BigEndian.Uint16(data)) {
				return nil, fmt.Errorf("bundle %d ends early", tile.N)
			}
			length := int(binary.BigEndian.Uint16(data))
			entries = append(entries, data[2:2+length])
			data = data[2+length:]
		}
		if len(data) != 0 {
			return nil, fmt.Errorf("bundle %d goes on after its entries", tile.N)
		}
	}
	return entries, nil
}

// judgeConsistency SIZE1 ROOT1 SIZE2 ROOT2 HASH...: a proof of ours, by two implementations.
func judgeConsistency(args []string) error {
	first, _ := strconv.ParseInt(args[0], 10, 64)
	second, _ := strconv.ParseInt(args[2], 10, 64)
	hashes := make([]tlog.Hash, 0, len(args))
	for _, text := range append([]string{args[1], args[3]}, args[4:]...) {
		raw, err := base64.StdEncoding.DecodeString(text)
		if err != nil || len(raw) != tlog.HashSize {
			return fmt.Errorf("not a hash: %q", text)
		}
		hashes = append(hashes, tlog.Hash(raw))
	}
	path := tlog.TreeProof(hashes[2:])
	goErr := tlog.CheckTree(path, second, hashes[1], first, hashes[0])
	tdErr := proof.VerifyConsistency(rfc6962.DefaultHasher, uint64(first), uint64(second), bytesOf(path), hashes[0][:], hashes[1][:])
	if (goErr == nil) != (tdErr == nil) {
		return fmt.Errorf("they disagree: %v, %v", goErr, tdErr)
	}
	return goErr
}

// judgeProof FILE POLICY: a C2SP tlog-proof of ours, which carries its entry as extra data.
func judgeProof(args []string) error {
	text, err := os.ReadFile(args[0])
	if err != nil {
		return err
	}
	file, err := os.ReadFile(args[1])
	if err != nil {
		return err
	}
	policy, err := torchwood.ParsePolicy(file)
	if err != nil {
		return err
	}
	entry, err := torchwood.ProofExtraData(text)
	if err != nil {
		return err
	}
	return torchwood.VerifyProof(policy, tlog.RecordHash(entry), text)
}

// judgeCosigned CHECKPOINT POLICY: a checkpoint with cosignatures of ours, under a C2SP tlog-policy.
func judgeCosigned(args []string) error {
	text, err := os.ReadFile(args[0])
	if err != nil {
		return err
	}
	file, err := os.ReadFile(args[1])
	if err != nil {
		return err
	}
	policy, err := torchwood.ParsePolicy(file)
	if err != nil {
		return err
	}
	_, _, err = torchwood.VerifyCheckpoint(text, policy)
	return err
}

func bytesOf[P ~[]tlog.Hash](path P) [][]byte {
	var out [][]byte
	for _, hash := range path {
		out = append(out, hash[:])
	}
	return out
}
