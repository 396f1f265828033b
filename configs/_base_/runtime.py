custom_imports = dict(imports=['mmrazor_tat'], allow_failed_imports=False)
