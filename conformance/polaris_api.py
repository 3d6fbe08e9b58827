"""Polaris' API modules, written anew from what its core and its service use of them.

Not every Maven repository has more of Polaris than `polaris-core` and `polaris-runtime-service`, in which is
all that decides, issues tokens and lends keys. The modules between them and HTTP, which Polaris generates
from its OpenAPI documents, hold no logic: values with properties, interfaces of services, and resources that
pass a request on to one. `generate` writes them as Java: every member that the two jars use of a class that
they do not have, and for each line of `endpoints.txt` a method of a resource.
"""

from __future__ import annotations

import zipfile
from collections import defaultdict
from typing import TYPE_CHECKING

from conformance import class_files
from conformance.class_files import ENUM, PUBLIC, STATIC, SYNTHETIC, ClassFile, Member

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_ALL = "org/apache/polaris/"
_MODEL, _TYPES = f"{_ALL}core/admin/model/", f"{_ALL}service/types/"
_SERVICES = {f"{_ALL}service/admin/api/": "/api/management/v1", f"{_ALL}service/catalog/api/": "/api/catalog"}
"""Packages of the services' interfaces, and where the resources of each answer."""

_VARIANTS = {
    "Catalog": ("type", {"INTERNAL": "PolarisCatalog", "EXTERNAL": "ExternalCatalog"}),
    "StorageConfigInfo": (
        "storageType",
        {
            "S3": "AwsStorageConfigInfo",
            "AZURE": "AzureStorageConfigInfo",
            "GCS": "GcpStorageConfigInfo",
            "FILE": "FileStorageConfigInfo",
        },
    ),
    "GrantResource": (
        "type",
        {kind.lower(): f"{kind}Grant" for kind in ("Catalog", "Namespace", "Table", "View", "Policy")},
    ),
    "ConnectionConfigInfo": (
        "connectionType",
        {
            "ICEBERG_REST": "IcebergRestConnectionConfigInfo",
            "HADOOP": "HadoopConnectionConfigInfo",
            "HIVE": "HiveConnectionConfigInfo",
        },
    ),
    "AuthenticationParameters": (
        "authenticationType",
        {
            "OAUTH": "OAuthClientCredentialsParameters",
            "BEARER": "BearerAuthenticationParameters",
            "SIGV4": "SigV4AuthenticationParameters",
            "IMPLICIT": "ImplicitAuthenticationParameters",
        },
    ),
    "ServiceIdentityInfo": ("identityType", {"AWS_IAM": "AwsIamServiceIdentityInfo"}),
}
"""Classes of which JSON names the subclass: the property that does, and the subclass by its value."""
_PARENT = {child: parent for parent, (_, children) in _VARIANTS.items() for child in children.values()}

_CHANGES = "createTimestamp lastUpdateTimestamp entityVersion"
_CONSTRUCTORS = {
    "Catalogs": "catalogs",
    "CatalogRoles": "roles",
    "PrincipalRoles": "roles",
    "Principals": "principals",
    "GrantResources": "grants",
    "CatalogRole": f"name properties {_CHANGES}",
    "PrincipalRole": f"name federated properties {_CHANGES}",
    "Principal": f"name clientId properties {_CHANGES}",
    "PrincipalWithCredentials": "principal credentials",
    "PrincipalWithCredentialsCredentials": "clientId clientSecret",
    "ResetPrincipalRequest": "clientId clientSecret",
    "CatalogGrant": "privilege type",
    "NamespaceGrant": "namespace privilege type",
    "TableGrant": "namespace tableName privilege type",
    "ViewGrant": "namespace viewName privilege type",
    "PolicyGrant": "namespace policyName privilege type",
}
"""Which properties the values are that a constructor is given: a class file does not say."""

_EMPTY_MAP = {"properties": "new java.util.HashMap()"}
"""What a property is that a request leaves out."""

_IMPLEMENTED = {
    "IcebergRestCatalogApiService": "catalog/iceberg/IcebergCatalogAdapter",
    "IcebergRestConfigurationApiService": "catalog/iceberg/IcebergCatalogAdapter",
    "IcebergRestOAuth2ApiService": "auth/internal/service/DefaultOAuth2ApiService",
    "PolarisCatalogGenericTableApiService": "catalog/generic/GenericTableCatalogAdapter",
    "PolarisCatalogPolicyApiService": "catalog/policy/PolicyCatalogAdapter",
}
"""Interfaces of which no method is called by name in the jars, and a class that has their methods."""

_PARAMETERS = {"path": "PathParam", "query": "QueryParam", "header": "HeaderParam", "form": "FormParam"}
_JACKSON = "com.fasterxml.jackson.annotation.Json"
_ANY, _NONE = (f"{_JACKSON}AutoDetect.Visibility.{each}" for each in ("ANY", "NONE"))
_BEAN = f"""@{_JACKSON}IgnoreProperties(ignoreUnknown = true)
@{_JACKSON}AutoDetect(fieldVisibility = {_ANY}, getterVisibility = {_NONE}, isGetterVisibility = {_NONE})"""


def generate(folder: Path) -> None:
    """Write Java sources below a directory with `endpoints.txt`, from the jars in its `target/api`."""
    jars = sorted((folder / "target" / "api").glob("*.jar"))
    root = folder / "src" / "main" / "java"
    by_hand = {str(path.relative_to(root).with_suffix("")) for path in root.rglob("*.java")}
    for name, text in _Api(jars, (folder / "endpoints.txt").read_text(), by_hand).sources():
        path = root / f"{name}.java"
        path.parent.mkdir(parents=True, exist_ok=True)
        package = name.rpartition("/")[0].replace("/", ".")
        path.write_text(f"package {package};\n\n{text}\n")


class _Api:
    """`by_hand` are classes that are there already, being more than their members."""

    def __init__(self, jars: list[Path], endpoints: str, by_hand: set[str]) -> None:
        self._found: dict[str, ClassFile] = {}
        for jar in jars:
            with zipfile.ZipFile(jar) as archive:
                for entry in archive.namelist():
                    if entry.endswith(".class"):
                        read = class_files.read(archive.read(entry))
                        self._found[read.name] = read
        self._uses: defaultdict[str, set[Member]] = defaultdict(set)
        mentioned: set[str] = set()
        for each in self._found.values():
            mentioned |= each.mentioned
            for owner, members in each.uses.items():
                self._uses[owner] |= members
        self._missing = sorted(
            name
            for name in mentioned | self._uses.keys()
            if name.startswith((_MODEL, _TYPES, *_SERVICES)) and name not in self._found.keys() | by_hand
        )
        self._endpoints = [
            line.split() for line in endpoints.splitlines() if line and not line.startswith("#")
        ]

    def sources(self) -> Iterator[tuple[str, str]]:
        """Names of classes with slashes, and their text."""
        for name in self._missing:
            package, _, simple = name.rpartition("/")
            base = _SERVICES.get(f"{package}/")
            if base is not None:
                methods = self._methods(name)
                yield name, _interface(simple, methods)
                yield name.removesuffix("Service"), self._resource(base, simple, methods)
            elif "$" not in simple:  # those are written with the class that they are in
                yield name, self._enum(simple, name) if self._is_enum(name) else self._bean(simple, name)

    def _methods(self, name: str) -> dict[str, Member]:
        """Of the interface of a service."""
        implementation = _IMPLEMENTED.get(name.rpartition("/")[2])
        if implementation is None:
            return {member.name: member for member in self._uses[name]}
        declared = self._found[f"{_ALL}service/{implementation}"].declared
        return {
            member.name: member
            for access, member in declared
            if access & PUBLIC
            and not access & (STATIC | SYNTHETIC)
            and member.descriptor.endswith("SecurityContext;)Ljakarta/ws/rs/core/Response;")
            and (member.name == "getConfig") == ("Configuration" in name)
        }

    def _resource(self, base: str, service: str, methods: dict[str, Member]) -> str:
        lines = [
            f'@jakarta.ws.rs.Path("{base}")',
            '@jakarta.ws.rs.Produces("application/json")',
            f"public class {service.removesuffix('Service')} {{",
            f"  @jakarta.inject.Inject {service} service;",
        ]
        for verb, path, operation, *sources in self._endpoints:
            if operation in methods:
                lines += _endpoint(verb, path, methods[operation], sources)
        return "\n".join([*lines, "}"])

    def _is_enum(self, name: str) -> bool:
        return name.endswith("Privilege") or any(
            use.descriptor == f"L{name};" and "(" not in use.descriptor for use in self._uses[name]
        )

    def _enum(self, simple: str, name: str) -> str:
        constants = sorted(use.name for use in self._uses[name] if use.descriptor == f"L{name};")
        if simple.endswith("Privilege"):
            declared = self._found[f"{_ALL}core/entity/PolarisPrivilege"].declared
            constants = [member.name for access, member in declared if access & ENUM]
        text = "name()"
        if name.endswith(("GrantResource$TypeEnum", "PolicyAttachmentTarget$TypeEnum")):
            text = "name().toLowerCase(java.util.Locale.ROOT).replace('_', '-')"
        value = f"@{_JACKSON}Value public String json() {{ return {text}; }}"
        return f"public enum {simple} {{ {', '.join(constants)}; {value} }}"

    def _properties(self, name: str) -> dict[str, str]:
        """Of a class alone: the name of each, and its type in Java."""
        simple = name.rpartition("/")[2]
        found: dict[str, str] = {}
        for use in self._uses[name]:
            if use.name.startswith("get"):
                found[_property(use.name)] = use.result
            elif use.name == "<init>" and use.parameters:
                found |= zip(_CONSTRUCTORS[simple].split(), use.parameters, strict=True)
        for use in self._uses[f"{name}$Builder"]:
            if use.name.startswith("set"):
                found[_property(use.name)] = use.parameters[0]
        if simple in _VARIANTS:
            [kind] = [each for each in self._missing if each.startswith(f"{name}$") and each.endswith("Enum")]
            found[_VARIANTS[simple][0]] = f"L{kind};"
        return {key: _java(item) for key, item in found.items()}

    def _bean(self, simple: str, name: str) -> str:
        parent = _PARENT.get(simple)
        inherited = self._properties(f"{_MODEL}{parent}") if parent else {}
        everything = dict(sorted({**self._properties(name), **inherited}.items()))
        # Polaris' mapper takes names apart by hyphens, which is right for the catalog's own types alone.
        named = f'@{_JACKSON}Property("{{}}") ' if name.startswith(_MODEL) else ""
        lines = [_BEAN, *_subclasses(simple)]
        lines.append(f"public class {simple}{f' extends {parent}' if parent else ''} {{")
        for key, kind in everything.items():
            if key not in inherited:
                value = f" = {_EMPTY_MAP[key]}" if key in _EMPTY_MAP and kind == "java.util.Map" else ""
                lines.append(f"  {named.format(key)}protected {kind} {key}{value};")
            lines.append(f"  public {kind} get{key[0].upper()}{key[1:]}() {{ return {key}; }}")
        lines.append(f"  public {simple}() {{}}")
        if simple in _CONSTRUCTORS:
            given = _CONSTRUCTORS[simple].split()
            taken = ", ".join(f"{everything[key]} {key}" for key in given)
            assigned = " ".join(f"this.{key} = {key};" for key in given)
            lines.append(f"  public {simple}({taken}) {{ {assigned} }}")
        if self._uses[f"{name}$Builder"]:
            lines += _builder(simple, everything)
        for each in self._missing:
            if each.startswith(f"{name}$") and each.endswith("Enum"):
                lines.append(f"  {self._enum(each.rpartition('$')[2], each)}")
        return "\n".join([*lines, "}"])


def _interface(simple: str, methods: dict[str, Member]) -> str:
    lines = [f"public interface {simple} {{"]
    for _, member in sorted(methods.items()):
        taken = ", ".join(f"{_java(each)} p{index}" for index, each in enumerate(member.parameters))
        lines.append(f"  {_java(member.result)} {member.name}({taken});")
    return "\n".join([*lines, "}"])


def _endpoint(verb: str, path: str, member: Member, sources: list[str]) -> list[str]:
    """A method that passes a request on; the last two parameters are the realm and who asks."""
    taken: list[str] = []
    for index, (source, kind) in enumerate(zip(sources, member.parameters[:-2], strict=True)):
        where, _, name = source.partition(":")
        annotation = f'@jakarta.ws.rs.{_PARAMETERS[where]}("{name}") ' if where in _PARAMETERS else ""
        taken.append(f"{annotation}{_java(kind)} p{index}")
    context = (f"@jakarta.ws.rs.core.Context {_java(kind)}" for kind in member.parameters[-2:])
    taken += [f"{kind} {name}" for kind, name in zip(context, ("realm", "caller"), strict=True)]
    passed = ", ".join(each.rpartition(" ")[2] for each in taken)
    form = any(source.startswith("form:") for source in sources)
    body = "application/x-www-form-urlencoded" if form else "application/json" if "body" in sources else ""
    return [
        f'  @jakarta.ws.rs.{verb} @jakarta.ws.rs.Path("{path}")',
        *([f'  @jakarta.ws.rs.Consumes("{body}")'] if body else []),
        *([] if form else ['  @jakarta.annotation.security.RolesAllowed("**")']),
        f"  public {_java(member.result)} {member.name}({', '.join(taken)}) {{",
        f"    return service.{member.name}({passed});",
        "  }",
    ]


def _subclasses(simple: str) -> list[str]:
    if simple not in _VARIANTS:
        return []
    key, children = _VARIANTS[simple]
    types = ", ".join(
        f'@{_JACKSON}SubTypes.Type(value = {child}.class, name = "{value}")'
        for value, child in children.items()
    )
    return [
        f"@{_JACKSON}TypeInfo(use = {_JACKSON}TypeInfo.Id.NAME, visible = true,",
        f'  include = {_JACKSON}TypeInfo.As.EXISTING_PROPERTY, property = "{key}")',
        f"@{_JACKSON}SubTypes({{{types}}})",
    ]


def _builder(simple: str, properties: dict[str, str]) -> list[str]:
    setters = [
        f"    public Builder set{key[0].upper()}{key[1:]}({kind} given) "
        f"{{ built.{key} = given; return this; }}"
        for key, kind in properties.items()
    ]
    return [
        "  public static Builder builder() { return new Builder(); }",
        "  public static final class Builder {",
        f"    private final {simple} built = new {simple}();",
        *setters,
        f"    public {simple} build() {{ return built; }}",
        "  }",
    ]


def _property(accessor: str) -> str:
    return accessor[3].lower() + accessor[4:]


def _java(descriptor: str) -> str:
    """A type as Java writes it."""
    if descriptor.startswith("["):
        return f"{_java(descriptor[1:])}[]"
    primitive = {"Z": "boolean", "I": "int", "J": "long", "V": "void"}.get(descriptor)
    return primitive or descriptor[1:-1].replace("/", ".").replace("$", ".")
