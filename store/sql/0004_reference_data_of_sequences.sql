-- Sequence policies are reference data too: the index that finds reference data names them.

DROP INDEX daybook.events_of_reference_data_idx;

CREATE INDEX events_of_reference_data_idx ON daybook.events (notification_id) WHERE topic IN (
    'AccountingPeriodSet', 'LegalEntitySet', 'PaymentTermSet', 'ReferenceDataApplied', 'ReferenceEntryRemoved',
    'SequencePolicySet', 'SettingsSet', 'TaxEngineSet', 'TaxRateSet', 'TaxTreatmentSet'
);
