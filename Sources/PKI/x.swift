public enum DevelopmentPKI { public static func ensure(directory: String, trustDomain: String, tenants: [String]) throws {} }
