package api

// Chain describes an EVM chain the way viem does, so that the JavaScript clients can use it as it
// is. Only the members that they read are here.
type Chain struct {
	ID             int64                    `json:"id"`
	Name           string                   `json:"name"`
	NativeCurrency ChainCurrency            `json:"nativeCurrency"`
	RPCURLs        map[string]ChainRPCURLs  `json:"rpcUrls"`
	Contracts      *ChainContracts          `json:"contracts,omitempty"`
	BlockExplorers map[string]ChainExplorer `json:"blockExplorers,omitempty"`
}

// ChainCurrency is the coin that gas is paid in.
type ChainCurrency struct {
	Name     string `json:"name"`
	Symbol   string `json:"symbol"`
	Decimals int    `json:"decimals"`
}

// ChainRPCURLs lists JSON-RPC endpoints; viem takes the list named "default".
type ChainRPCURLs struct {
	HTTP List[string] `json:"http"`
}

// ChainContracts names well-known contracts. Without multicall3 the official CLI cannot update a
// CVM on chain.
type ChainContracts struct {
	Multicall3 *ChainContract `json:"multicall3,omitempty"`
}

// ChainContract is where a well-known contract lives: 0x and 40 hex digits.
type ChainContract struct {
	Address string `json:"address"`
}

// ChainExplorer is a block explorer.
type ChainExplorer struct {
	Name string `json:"name"`
	URL  string `json:"url"`
}
