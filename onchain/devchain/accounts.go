package devchain

import (
	"crypto/ecdsa"
	"fmt"
	"math/big"
	"sync"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/crypto"
)

// accountCount is how many accounts genesis funds, each with 10,000 ETH.
const accountCount = 10

// Account is a funded account whose key everybody knows.
type Account struct {
	Address common.Address
	Key     *ecdsa.PrivateKey
}

// KeyHex is the private key as wallets and clients take it: 0x and 64 digits.
func (a Account) KeyHex() string { return hexutil.Encode(crypto.FromECDSA(a.Key)) }

// DevAccounts returns the funded accounts. The private key of account i is
// keccak256("lockstep devchain account i"), i from 0 to 9 in decimal, so that
// any tool can derive it again. Never send anything of value to them.
func DevAccounts() []Account { return devAccounts() }

var devAccounts = sync.OnceValue(func() []Account {
	accounts := make([]Account, accountCount)
	for i := range accounts {
		seed := crypto.Keccak256(fmt.Appendf(nil, "lockstep devchain account %d", i))
		key, err := crypto.ToECDSA(seed)
		if err != nil {
			panic(err) // fixed seeds; a test derives them all
		}
		accounts[i] = Account{Address: crypto.PubkeyToAddress(key.PublicKey), Key: key}
	}
	return accounts
})

// accountBalance is in wei.
func accountBalance() *big.Int {
	ether := new(big.Int).Exp(big.NewInt(10), big.NewInt(18), nil)
	return ether.Mul(ether, big.NewInt(10_000))
}
