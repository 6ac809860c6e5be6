"""Loading: an alias is a request, honoured only for a bundle that verifies and is certified."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from pathlib import Path

from online.adapters.bundle_source import BundleSource, FetchedBundle
from online.adapters.key_files import read_trust
from online.adapters.onnx_model import OnnxModel, digest_bundle, load_bundle, read_proofs
from online.adapters.rule_model import RuleModel, read_rules
from online.api.matching import MatchedFeatures
from online.domain.certificate import Certificate, needed_policy, permit
from online.domain.errors import InvalidInput, InvalidManifest, ModelRefused

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model that may serve.

    Parameters
    ----------
    model
        Verified on its golden vectors; the rules where no model can be had.
    bundle
        Where it came from.
    certificate
        By which it serves; None where none is asked for.
    """

    model: OnnxModel | RuleModel
    bundle: FetchedBundle
    certificate: Certificate | None


@dataclass(frozen=True, slots=True)
class Loader:
    """Gets the model behind one alias.

    Parameters
    ----------
    source
        Of bundles.
    name, alias
        What is asked for.
    trust
        Folder of public keys, read at every load; None asks for no certificate.
    matched
        Asked whether the store serves what the model learnt; None asks nobody.
    fallback
        Manifest by which the rules decide where no model can be loaded; None for nobody.
    """

    source: BundleSource
    name: str
    alias: str
    trust: Path | None
    matched: MatchedFeatures | None = None
    fallback: Path | None = None

    async def request(self) -> Loaded:
        """Return the model the alias points at, and remember its bundle as verified.

        Raises
        ------
        NotFound, Unavailable, ModelRefused, InvalidInput
            As the source, the verification and the certificate say.
        """
        bundle = await self.source.fetch(self.name, self.alias)
        found = await asyncio.to_thread(self._verify, bundle)
        if self.matched is not None:
            await self.matched.admit(found.model.manifest)
        return found

    async def last(self) -> Loaded | None:
        """Return the model that was verified last, verified again; None if there is none."""
        bundle = self.source.kept(self.name, self.alias)
        if bundle is None:
            return None
        try:
            found = await asyncio.to_thread(self._verify, bundle)
        except (ModelRefused, InvalidInput):
            return None
        if self.matched is not None:
            self.matched.expect(found.model.manifest)
        return found

    def rules(self) -> Loaded | None:
        """Return the rules by the fallback's manifest; None where there is none of this name."""
        if self.fallback is None:
            return None
        try:
            model = read_rules(self.fallback)
        except InvalidManifest as error:
            logger.warning("%s", error)
            return None
        if model.manifest.name != self.name:
            logger.warning("%s is of %s", self.fallback, model.manifest.name)
            return None
        if self.matched is not None:
            self.matched.expect(model.manifest)
        origin = f"rules of {self.fallback}"
        return Loaded(model, FetchedBundle(self.fallback.parent, model.version, origin), None)

    def _verify(self, bundle: FetchedBundle) -> Loaded:
        """Ask for the certificate first: nothing of a bundle without one is opened or run."""
        certificate = None
        if self.trust is not None:
            certificate = self._permit(bundle.folder, digest_bundle(bundle.folder), self.trust)
        model = load_bundle(bundle.folder, self.alias, bundle.version, bundle.digest)
        found = model.manifest.name
        if found != self.name:
            raise InvalidInput(f"the bundle is {found}, {self.name} was asked for")
        if not model.manifest.is_tradable:
            raise ModelRefused(
                f"{found} predicts {model.manifest.target}, which is no direction of a trade",
                code="NOT_TRADABLE",
                remedy="Point the alias at a model whose target is barrier or direction.",
            )
        if certificate is not None and certificate.bundle_sha256 != model.sha256:
            raise ModelRefused(f"bundle {bundle.folder} was changed while it was loaded")
        return Loaded(model, bundle, certificate)

    def _permit(self, folder: Path, digest: str, trusted: Path) -> Certificate:
        proofs, trust = read_proofs(folder), read_trust(trusted)
        return permit(proofs, self.name, digest, needed_policy(self.alias), trust)
