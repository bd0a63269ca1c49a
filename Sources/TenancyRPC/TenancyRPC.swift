// The RPC runtime as one module, which is what generated code imports. It has no code of its own.
@_exported public import TenancyCrypto
@_exported public import TenancyRPCClient
@_exported public import TenancyRPCCore
@_exported public import TenancyRPCServer
