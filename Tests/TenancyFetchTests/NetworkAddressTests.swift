import Testing

@testable import TenancyFetch

struct NetworkAddressTests {}
