"""What an archive may change of an object that it keeps, and of what it says nothing.

C-STORE may coerce attributes of patient, study, visit and institution (PS3.4 B.4.1.1), and an archive writes down that
it did. They say whose images these are, not what is in them, where it stands or how it is shown.
"""

from __future__ import annotations

from pydicom.datadict import dictionary_has_tag, keyword_for_tag
from pydicom.dataelem import DataElement

_PATIENT = (
    "PatientName", "PatientID", "IssuerOfPatientID", "IssuerOfPatientIDQualifiersSequence", "TypeOfPatientID",
    "OtherPatientIDs", "OtherPatientIDsSequence", "OtherPatientNames", "PatientBirthDate", "PatientBirthTime",
    "PatientSex", "PatientAge", "PatientSize", "PatientWeight", "PatientAddress", "PatientTelephoneNumbers",
    "PatientMotherBirthName", "PatientBirthName", "PatientComments", "PatientReligiousPreference", "PatientState",
    "EthnicGroup", "Occupation", "MedicalRecordLocator", "MedicalAlerts", "Allergies", "AdditionalPatientHistory",
    "PregnancyStatus", "SmokingStatus", "SpecialNeeds", "CountryOfResidence", "RegionOfResidence", "MilitaryRank",
    "BranchOfService", "ReferencedPatientSequence", "SourcePatientGroupIdentificationSequence",
    "GroupOfPatientsIdentificationSequence", "PatientIdentityRemoved", "DeidentificationMethod",
    "DeidentificationMethodCodeSequence",
)  # fmt: skip
_STUDY = (
    "StudyInstanceUID", "StudyDate", "StudyTime", "StudyID", "StudyDescription", "AccessionNumber",
    "IssuerOfAccessionNumberSequence", "ReferringPhysicianName", "ReferringPhysicianAddress",
    "ReferringPhysicianTelephoneNumbers", "ReferringPhysicianIdentificationSequence", "ConsultingPhysicianName",
    "PhysiciansOfRecord", "NameOfPhysiciansReadingStudy", "RequestingPhysician", "RequestingService",
    "RequestedProcedureDescription", "RequestedProcedureCodeSequence", "RequestedProcedureID", "ReasonForStudy",
    "ReferencedStudySequence", "ProcedureCodeSequence", "RequestAttributesSequence", "AdmittingDiagnosesDescription",
    "AdmissionID", "IssuerOfAdmissionIDSequence", "ServiceEpisodeID", "ServiceEpisodeDescription",
    "CurrentPatientLocation", "PatientInstitutionResidence", "PlacerOrderNumberImagingServiceRequest",
    "FillerOrderNumberImagingServiceRequest", "PerformedProcedureStepID", "PerformedProcedureStepDescription",
    "PerformedProcedureStepStartDate", "PerformedProcedureStepStartTime", "ReferencedPerformedProcedureStepSequence",
    "ClinicalTrialSponsorName", "ClinicalTrialProtocolID", "ClinicalTrialProtocolName", "ClinicalTrialSiteID",
    "ClinicalTrialSiteName", "ClinicalTrialSubjectID", "ClinicalTrialSubjectReadingID",
    "ClinicalTrialTimePointID", "ClinicalTrialTimePointDescription",
)  # fmt: skip
_INSTITUTION = (
    "InstitutionName", "InstitutionAddress", "InstitutionCodeSequence", "InstitutionalDepartmentName", "StationName",
    "OperatorsName", "OperatorIdentificationSequence", "PerformingPhysicianName",
    "PerformingPhysicianIdentificationSequence", "TimezoneOffsetFromUTC",
)  # fmt: skip
# How it was encoded, sent and kept.
_ARCHIVE = (
    "SpecificCharacterSet", "InstanceCoercionDateTime", "OriginalAttributesSequence", "RetrieveAETitle",
    "RetrieveURL", "RetrieveURI", "RetrieveLocationUID", "InstanceAvailability", "StorageMediaFileSetID",
    "StorageMediaFileSetUID", "DataSetTrailingPadding", "LengthToEnd",
)  # fmt: skip
COERCIBLE = frozenset((*_PATIENT, *_STUDY, *_INSTITUTION, *_ARCHIVE))
"""Keywords of attributes that an archive may change, add or leave out."""


def is_coercible(element: DataElement) -> bool:
    """Whether an archive may change it. Others' private attributes are an archive's, too; group lengths say nothing."""
    if element.tag.element == 0:
        return True
    return element.tag.is_private or keyword_of(element) in COERCIBLE


def keyword_of(element: DataElement) -> str:
    """Its keyword, or its number where it has none."""
    if dictionary_has_tag(element.tag):
        return keyword_for_tag(element.tag)
    return f"({element.tag.group:04X},{element.tag.element:04X})"
