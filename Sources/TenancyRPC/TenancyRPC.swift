// The RPC runtime as one module. It has no code of its own: whoever writes only a client may import
// `TenancyRPCClient` instead, and a server `TenancyRPCServer`.
@_exported public import TenancyCrypto
@_exported public import TenancyRPCClient
@_exported public import TenancyRPCCore
@_exported public import TenancyRPCServer
